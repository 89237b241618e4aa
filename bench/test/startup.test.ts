import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'bench', 'dist', 'main.js')

interface Figure {
  readonly median: number
  readonly samples: readonly number[]
}

test('measures the start of a service beside that of node:http in a quick run', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-bench-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { status, stderr } = spawnSync(process.execPath, [main, 'startup', '--quick', '--out', folder], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  const { answer, targets } = JSON.parse(await readFile(join(folder, 'startup.json'), 'utf8')) as {
    readonly answer: {
      readonly variants: Readonly<Record<string, { readonly ms: Figure; readonly overHttp: Figure }>>
    }
    readonly targets: readonly {
      readonly atMost: number
      readonly value: number
      readonly reached: boolean
    }[]
  }
  assert.deepEqual(Object.keys(answer.variants), ['http', 'bare', 'small', 'large'])
  const http = answer.variants['http']?.ms.samples ?? []
  for (const { ms, overHttp } of Object.values(answer.variants))
    for (const [round, sample] of ms.samples.entries()) {
      // A process of Node takes more than this to begin with: an answer before it came from another.
      assert.ok(sample > 5, `${sample} ms`)
      assert.ok(Math.abs(sample - (http[round] as number) - (overHttp.samples[round] as number)) < 0.5)
    }
  assert.deepEqual(
    targets.map(({ atMost }) => atMost),
    [250, 250],
  )
  for (const { atMost, value, reached } of targets) assert.equal(reached, value <= atMost)
  const markdown = await readFile(join(folder, 'startup.md'), 'utf8')
  assert.match(markdown, /^# Start-up, measured\n/)
  assert.ok(!/NaN|undefined|Infinity/.test(markdown), markdown)
})
