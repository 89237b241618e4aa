// Runs every test on this Node and on the newer ones that are supported.
//   node tools/test.mjs                      all tests, all versions
//   node tools/test.mjs plugin platform      files whose path holds every word, on this Node alone
// Skipped tests are told with their reasons. With CI or REQUIRE_SERVERS set, one without a reason fails.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeBinary, otherVersions } from './nodes.mjs'
import { installServers } from './servers.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
const everySkipHasAReason = ['CI', 'REQUIRE_SERVERS'].some(
  (name) => !['', '0', 'false'].includes(process.env[name] ?? ''),
)
/** A test that takes longer hangs. */
const timeoutMs = 300_000

/** Compiled tests whose source is there: the compiler leaves what it made of one that is gone. */
function testFiles() {
  const packages = ['packages', 'examples', 'plugins'].flatMap((group) =>
    list(group).map((name) => `${group}/${name}`),
  )
  return [...packages, 'bench', '.']
    .flatMap((folder) =>
      list(`${folder}/test`)
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}/dist-test/${name.replace(/ts$/, 'js')}`),
    )
    .filter((path) => words.every((word) => path.includes(word)))
}

function list(folder) {
  try {
    return readdirSync(root + folder).sort()
  } catch {
    return []
  }
}

/**
 * Plugins for servers are held to their contracts on every Node; what a server that fails does to them is
 * tried on this one. SQLite came with a later Node than the floor.
 */
function isForEveryVersion(path) {
  return !path.startsWith('plugins/') || path.includes('compliance') || path.includes('sqlite')
}

/** Runs the files; how that went. */
function runOn(binary, version, files) {
  console.log(`\nNode ${version}: ${files.length} test files`)
  mkdirSync(`${root}.cache`, { recursive: true })
  const record = `${root}.cache/tests-${process.pid}.jsonl`
  const args = [
    '--expose-gc',
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    `--test-timeout=${timeoutMs}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./tools/test-record.mjs',
    `--test-reporter-destination=${record}`,
    ...files,
  ]
  const started = performance.now()
  const { status } = spawnSync(binary, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const tests = readFileSync(record, 'utf8').split('\n').filter(Boolean).map(JSON.parse)
  rmSync(record)
  return summary(version, tests, status, seconds)
}

function summary(version, tests, status, seconds) {
  const skipped = tests.filter(({ skip }) => skip !== undefined)
  const failed = tests.filter(({ passed, skip }) => !passed && skip === undefined)
  // Node takes a file without a test as a test of the file's name, which passes.
  const empty = tests.filter(({ name, file, passed }) => passed && resolve(root, name) === file)
  const ran = tests.length - skipped.length - empty.length

  const wrong = empty.map(({ file }) => `no test in ${relative(root, file)}`)
  if (ran === 0) wrong.push('no test has run')
  if (status !== 0 && failed.length === 0) wrong.push(`the test runner ended with ${status}`)
  const notes = []
  for (const { name, file, skip } of skipped) {
    const what = `${name} (${relative(root, file)})`
    if (skip !== true) notes.push(`${what}: ${skip}`)
    else if (everySkipHasAReason) wrong.push(`skipped without a reason: ${what}`)
    else notes.push(`${what}, without a reason`)
  }

  const passed = status === 0 && wrong.length === 0
  const totals = `${ran} tests, ${failed.length} failed, ${skipped.length} skipped, ${seconds} s`
  const line = `Node ${version}: ${passed ? 'passed' : 'FAILED'}: ${totals}`
  return { version, passed, lines: [line, ...wrong.map((each) => `  ${each}`)], notes }
}

/** Each skipped test once, and the versions where it is not skipped on all. */
function tellSkipped(runs) {
  for (const note of new Set(runs.flatMap(({ notes }) => notes))) {
    const on = runs.filter(({ notes }) => notes.includes(note)).map(({ version }) => version)
    console.log(`skipped${on.length < runs.length ? ` on Node ${on.join(', ')}` : ''}: ${note}`)
  }
}

const files = testFiles()
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`)
  process.exit(1)
}
installServers()
const others = words.length > 0 ? [] : otherVersions.filter((version) => version !== process.versions.node)
// All that is needed is there before the first test runs.
const binaries = [
  [process.execPath, process.versions.node],
  ...others.map((version) => [nodeBinary(version), version]),
]
const runs = binaries.map(([binary, version], i) =>
  runOn(binary, version, i === 0 ? files : files.filter(isForEveryVersion)),
)
console.log()
tellSkipped(runs)
console.log(runs.flatMap(({ lines }) => lines).join('\n'))
process.exitCode = runs.every(({ passed }) => passed) ? 0 : 1
