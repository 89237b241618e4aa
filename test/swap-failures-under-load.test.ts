import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fleet } from '@micrograft/bench/dist/swap/fleet.js'
import { fullLoad } from '@micrograft/bench/dist/swap/load.js'
import { buildPluginFiles, failures, swappedTypes } from '@micrograft/bench/dist/swap/plugin-files.js'
import { expectFlat, expectNothingLost } from './support/expect.js'

const swaps = 60
const early = 15

test('every part is swapped at once at full load, every third swap fails on purpose, and nothing is lost or left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const files = await buildPluginFiles(folder)
  await using fleet = await Fleet.start({ folder, files, makeTimeoutMs: 1500 })
  await fleet.begin(fullLoad)
  await fleet.pass(100)

  const failed = new Set<string>()
  const swapAll = (from: number, to: number) =>
    Promise.all(
      swappedTypes.map(async (type) => {
        for (let i = from; i <= to; i++) {
          if (i % 3 === 0) failed.add(`${type} ${await fleet.fail(type)}`)
          else assert.equal((await fleet.swap(type)).drained, true, type)
          await fleet.pass(5)
        }
      }),
    )
  await swapAll(1, early)
  const first = await fleet.memory()
  await swapAll(early + 1, swaps)
  const last = await fleet.memory()
  await fleet.end()
  expectNothingLost(await fleet.outcome())
  expectFlat(fleet, first, last)
  assert.equal(failed.size, swappedTypes.length * failures.length, 'each type failed in each way')
  await fleet.stop()
})
