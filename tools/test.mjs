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
    .filter((path) => words.length > 0 || !isSoak(path))
}

/** What fails on purpose, or is killed, while everything is swapped at full load: `npm run test:load`. */
function isSoak(path) {
  return path.startsWith('./') && /swap-(failures|killed)/.test(path)
}

function list(folder) {
  try {
    return readdirSync(root + folder).sort()
  } catch {
    return []
  }
}

/**
 * What is tried on this Node alone: plugins of servers, which take long and look at no part of Node that
 * the rest does not, and what drives the whole machine. SQLite came with a later Node than the floor.
 */
function isForEveryVersion(path) {
  return (
    !isHeavy(path) && (!path.startsWith('plugins/') || /sqlite|codec|grpc.*(compliance|service)/.test(path))
  )
}

/** Processes at full load, and measurements: one after another, and beside nothing else. */
function isHeavy(path) {
  return path.startsWith('bench/') || path.startsWith('./')
}

/** Runs the files; how that went. */
function runOn(binary, version, files, concurrency = availableParallelism()) {
  console.log(`\nNode ${version}: ${files.length} test files`)
  mkdirSync(`${root}.cache`, { recursive: true })
  const record = `${root}.cache/tests-${process.pid}.jsonl`
  const args = [
    '--expose-gc',
    '--test',
    `--test-concurrency=${concurrency}`,
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
const [[binary, version], ...newer] = binaries
const groups = [
  [binary, version, files.filter((path) => !isHeavy(path))],
  [binary, version, files.filter(isHeavy), 1],
  ...newer.map(([other, name]) => [other, name, files.filter(isForEveryVersion)]),
]
const runs = groups.filter(([, , some]) => some.length > 0).map((group) => runOn(...group))
console.log()
tellSkipped(runs)
console.log(runs.flatMap(({ lines }) => lines).join('\n'))
process.exitCode = runs.every(({ passed }) => passed) ? 0 : 1
