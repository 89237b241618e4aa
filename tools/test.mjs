// Runs every test on this Node and on the newer ones that are supported.
//   node tools/test.mjs                      all tests, all versions
//   node tools/test.mjs plugin platform      files whose path holds every word, on this Node alone

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { nodeBinary, otherVersions } from './nodes.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)

function testFiles() {
  const folders = ['packages', 'examples', 'plugins'].flatMap((group) =>
    list(group).map((name) => `${group}/${name}/dist-test`),
  )
  return [...folders, 'test/dist-test', 'tools/test']
    .flatMap((folder) =>
      list(folder)
        .filter((name) => /\.test\.m?js$/.test(name))
        .map((name) => `${folder}/${name}`),
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

function runOn(binary, version, files) {
  console.log(`\nNode ${version}: ${files.length} test files`)
  const args = [
    '--expose-gc',
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    '--test-reporter=spec',
    ...files,
  ]
  const started = performance.now()
  const { status } = spawnSync(binary, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  console.log(
    `Node ${version}: ${status === 0 ? 'passed' : 'FAILED'} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  )
  return status === 0
}

const files = testFiles()
if (files.length === 0) throw new Error(`no test file matches ${words.join(' ')}`)
let passed = runOn(process.execPath, process.versions.node, files)
if (words.length === 0) {
  const others = otherVersions.filter((version) => version !== process.versions.node)
  for (const version of others) passed = runOn(nodeBinary(version), version, files) && passed
}
process.exitCode = passed ? 0 : 1
