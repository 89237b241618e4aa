// Runs every test on this Node and on the newer ones that are supported.
//   node tools/test.mjs                      all tests, all versions
//   node tools/test.mjs plugin platform      files whose path holds every word, on this Node alone
// Each file runs in a process of its own; what it printed is shown where it failed, or was asked for.
// Skipped tests are told with their reasons. With CI or REQUIRE_SERVERS set, one without a reason fails.

import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeBinary, otherVersions } from './nodes.mjs'
import { installServers } from './servers.mjs'
import { isForEveryVersion, isHeavy, isWaiting, testFiles } from './test-files.mjs'
import { inLanes } from './test-lanes.mjs'
import { runFile } from './test-process.mjs'

const words = process.argv.slice(2)
const everySkipHasAReason = ['CI', 'REQUIRE_SERVERS'].some(
  (name) => !['', '0', 'false'].includes(process.env[name] ?? ''),
)

/** The Nodes, this one first; the fuzzers of the others try the first tenth of their inputs, which are the same on each. */
function nodes() {
  const others = words.length > 0 ? [] : otherVersions.filter((version) => version !== process.versions.node)
  return [
    { version: process.versions.node, binary: process.execPath, env: {} },
    ...others.map((version) => ({ version, binary: nodeBinary(version), env: { FUZZ_SHARE: '0.1' } })),
  ]
}

/** Runs the files on the Nodes, those of the first Node first; what came of each. */
async function runAll(files, all) {
  const jobs = all.flatMap((node, i) =>
    files.filter((file) => i === 0 || isForEveryVersion(file)).map((file) => ({ key: file, file, node })),
  )
  const folder = mkdtempSync(join(tmpdir(), 'micrograft-tests-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const results = []
  const run = async ({ file, node }) => {
    const { binary, version, env } = node
    const result = await runFile(binary, file, join(folder, String(++begun)), env)
    results.push({ ...result, version })
    tell({ ...result, version })
  }
  let begun = 0
  const cores = availableParallelism()
  const computes = ({ file }) => !isWaiting(file)
  const waits = ({ file }) => isWaiting(file)
  await inLanes(
    jobs.filter(({ file }) => !isHeavy(file)),
    [...lanes(cores, [computes, waits]), ...lanes(cores + 1, [waits])],
    run,
  )
  await inLanes(
    jobs.filter(({ file }) => isHeavy(file)),
    [[() => true]],
    run,
  )
  return results
}

function lanes(count, kinds) {
  return Array.from({ length: count }, () => kinds)
}

function tell({ file, version, tests, text, seconds, passed }) {
  if (!passed || words.length > 0) console.log(`\n${file}\n${text.trimEnd()}`)
  console.log(`${passed ? '✔' : '✖'} ${version} ${file}: ${tests.length} tests, ${seconds.toFixed(1)} s`)
}

function summary({ version }, results) {
  const mine = results.filter((each) => each.version === version)
  const tests = mine.flatMap(({ file, tests }) => tests.map((test) => ({ ...test, file })))
  const skipped = tests.filter(({ skip }) => skip !== undefined)
  const failed = tests.filter(({ passed, skip }) => !passed && skip === undefined)
  const ran = tests.length - skipped.length

  const wrong = mine.flatMap(({ problems }) => problems)
  if (ran === 0) wrong.push('no test has run')
  const notes = []
  for (const { name, file, skip } of skipped) {
    const what = `${name} (${file})`
    if (skip !== true) notes.push(`${what}: ${skip}`)
    else if (everySkipHasAReason) wrong.push(`skipped without a reason: ${what}`)
    else notes.push(`${what}, without a reason`)
  }
  const passed = mine.every((each) => each.passed) && wrong.length === 0
  const totals = `${ran} tests in ${mine.length} files, ${failed.length} failed, ${skipped.length} skipped`
  const lines = [`Node ${version}: ${passed ? 'passed' : 'FAILED'}: ${totals}`]
  for (const each of [...failed.map(({ name, file }) => `${name} (${file})`), ...wrong])
    lines.push(`  ${each}`)
  return { version, passed, lines, notes }
}

/** Each skipped test once, and the versions where it is not skipped on all. */
function tellSkipped(runs) {
  for (const note of new Set(runs.flatMap(({ notes }) => notes))) {
    const on = runs.filter(({ notes }) => notes.includes(note)).map(({ version }) => version)
    console.log(`skipped${on.length < runs.length ? ` on Node ${on.join(', ')}` : ''}: ${note}`)
  }
}

const files = testFiles(words)
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`)
  process.exit(1)
}
installServers()
// All that is needed is there before the first test runs.
const all = nodes()
const started = performance.now()
const results = await runAll(files, all)
const runs = all.map((node) => summary(node, results))
console.log()
tellSkipped(runs)
console.log(runs.flatMap(({ lines }) => lines).join('\n'))
console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`)
process.exitCode = runs.every(({ passed }) => passed) ? 0 : 1
