import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { missing, natsServer } from '@micrograft/test-support'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

interface Compared {
  readonly plugin: { readonly median: number }
  readonly library: { readonly median: number }
  readonly ratio: { readonly median: number }
}

test(
  'measures a broker and a store beside their libraries, and a registry',
  {
    skip: missing(natsServer()) ?? false,
  },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'micrograft-bench-test-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const { status, stderr } = spawnSync(process.execPath, [main, 'engines', '--quick', '--out', folder], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    const { brokers, stores, registries, goals } = JSON.parse(
      await readFile(join(folder, 'engines.json'), 'utf8'),
    ) as {
      readonly brokers: readonly { readonly figures: Readonly<Record<string, Compared>> }[]
      readonly stores: readonly { readonly what: string; readonly figures: Compared }[]
      readonly registries: readonly {
        readonly figures: Readonly<Record<string, { readonly median: number }>>
      }[]
      readonly goals: readonly { readonly value: number }[]
    }
    assert.deepEqual(Object.keys(brokers[0]?.figures ?? {}), ['perSecond', 'p50', 'p99'])
    assert.deepEqual(
      stores.map(({ what }) => what),
      ['writes, 1 at a time', 'writes, 64 at a time', 'reads, 1 at a time', 'reads, 64 at a time'],
    )
    const compared = [...Object.values(brokers[0]?.figures ?? {}), ...stores.map(({ figures }) => figures)]
    for (const { plugin, library, ratio } of compared)
      assert.ok(Math.abs(ratio.median - plugin.median / library.median) < 0.01, JSON.stringify(ratio))
    for (const { median } of Object.values(registries[0]?.figures ?? {})) assert.ok(median > 0)
    assert.deepEqual(
      goals.map(({ value }) => value),
      [brokers[0]?.figures['perSecond'], ...stores.map(({ figures }) => figures)].map(
        (each) => each?.ratio.median,
      ),
    )
  },
)
