import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'bench', 'dist', 'main.js')

function bench(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' })
}

interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: readonly number[]
}

test('refuses a suite or a part that is not there and lists those that are', () => {
  for (const args of [['nothing'], ['plugin', '--only', 'nothing'], []]) {
    const { status, stderr } = bench(...args)
    assert.equal(status, 2)
    assert.match(stderr, /Suites\n {2}plugin {2}.+\n +parts: build, open, stall, calls, go, leaks/)
  }
})

test('measures every part in a quick run and writes results without a path of this machine', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-bench-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { status, stderr } = bench('plugin', '--quick', '--out', folder)
  assert.equal(status, 0, stderr)

  const json = await readFile(join(folder, 'plugin.json'), 'utf8')
  const markdown = await readFile(join(folder, 'plugin.md'), 'utf8')
  const results = JSON.parse(json) as Record<string, unknown> & {
    machine: { go?: string }
    targets: { atMost: number; value: number; reached: boolean }[]
  }
  const parts = [
    'build',
    'open',
    'stall',
    'calls',
    'leaks',
    ...(results.machine.go === undefined ? [] : ['go']),
  ]
  for (const part of parts) assert.ok(results[part], `${part} is missing`)
  assert.ok(results.targets.length > 0)
  for (const { atMost, value, reached } of results.targets) assert.equal(reached, value <= atMost)
  for (const figure of figures(results)) {
    assert.equal(figure.min, Math.min(...figure.samples))
    assert.equal(figure.max, Math.max(...figure.samples))
    assert.ok(
      figure.samples.every((sample) => sample > 0),
      'a sample is nothing',
    )
    assert.ok(figure.min <= figure.median && figure.median <= figure.max)
  }
  assert.match(markdown, /^# Plugin files, measured\n/)
  assert.ok(!/NaN|undefined|Infinity/.test(markdown), markdown)
  for (const text of [json, markdown])
    for (const place of [root, tmpdir(), homedir()])
      assert.ok(!text.includes(place), `${place} is in the results`)
})

function figures(value: unknown): Figure[] {
  if (typeof value !== 'object' || value === null) return []
  return 'samples' in value ? [value as Figure] : Object.values(value).flatMap(figures)
}
