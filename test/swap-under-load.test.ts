import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fleet } from '@micrograft/bench/dist/swap/fleet.js'
import { fullLoad } from '@micrograft/bench/dist/swap/load.js'
import { buildPluginFiles, swappedTypes, type PluginFiles } from '@micrograft/bench/dist/swap/plugin-files.js'
import { expectFlat, expectNothingLost } from './support/expect.js'

const swaps = 60
const early = 15

/** A stream ends where it began: on these, one that never ended would be cut at the drain deadline. */
const holdStreams: ReadonlySet<string> = new Set(['client', 'server', 'transport', 'handler'])

let folder: string
let files: PluginFiles

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  files = await buildPluginFiles(folder)
})
after(() => rm(folder, { recursive: true, force: true }))

for (const type of swappedTypes) {
  test(`${swaps} swaps of a ${type} at full load lose nothing and leave nothing`, async () => {
    await using fleet = await Fleet.start({ folder: join(folder, type), files })
    await fleet.begin({ ...fullLoad, lasting: !holdStreams.has(type) })
    await fleet.pass(100)
    let first
    for (let i = 1; i <= swaps; i++) {
      const { drained, to } = await fleet.swap(type)
      if (!drained) throw new Error(`something was still under way when ${to} had taken over`)
      await fleet.pass(20)
      if (i === early) first = await fleet.memory()
    }
    const last = await fleet.memory()
    await fleet.end()
    expectNothingLost(await fleet.outcome())
    if (first) expectFlat(fleet, first, last)
    await fleet.stop()
  })
}
