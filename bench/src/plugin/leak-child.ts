import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createPlatform } from '@micrograft/plugin'
import { childInput, report } from '../child.js'
import { pluginStamper, stamper } from './stamp.js'

export interface LeakInput {
  /** Plugins that are opened and closed, or ES modules that are imported for comparison. */
  readonly loading: 'plugin' | 'import'
  /** The built file, or the bundle, that each cycle gets a copy of with a stamp of its own. */
  readonly template: string
  readonly folder: string
  readonly cycles: number
  /** The cycles after which memory is looked at; the last is looked at in any case. */
  readonly looks: readonly number[]
}

/** Memory after so many cycles, in bytes. */
export interface Look {
  readonly cycle: number
  readonly heapUsed: number
  readonly rss: number
}

interface Exports {
  probe(n: number): number
}

const { loading, template, folder, cycles, looks } = childInput<LeakInput>()
const text = readFileSync(template)
const stamp = loading === 'plugin' ? pluginStamper(text) : stamper(text)
const platform = createPlatform()
let calls = 0
const taken: Look[] = []
for (let cycle = 1; cycle <= cycles; cycle++) {
  await (loading === 'plugin' ? openUseClose(cycle) : importAndUse(cycle))
  if (looks.includes(cycle) || cycle === cycles) taken.push(await look(cycle))
}
if (calls !== cycles) throw new Error(`${calls} of ${cycles} calls came back`)
report(taken)

async function openUseClose(cycle: number): Promise<void> {
  const file = join(folder, `${cycle}.plugin.cjs`)
  writeFileSync(file, stamp(cycle))
  const plugin = await platform.open<{ [K in keyof Exports]: Exports[K] }>(file)
  const { call } = platform.use<{ [K in keyof Exports]: Exports[K] }>(plugin.manifest.name)
  if (call.probe(cycle) === cycle + 1 && plugin.lookup('probe')(cycle) === cycle + 1) calls++
  await plugin.close()
  unlinkSync(file)
}

async function importAndUse(cycle: number): Promise<void> {
  const file = join(folder, `${cycle}.mjs`)
  writeFileSync(file, stamp(cycle))
  const module = (await import(pathToFileURL(file).href)) as Exports
  if (module.probe(cycle) === cycle + 1) calls++
  unlinkSync(file)
}

async function look(cycle: number): Promise<Look> {
  let heapUsed = Infinity
  // Several times, with turns between: a turn of the event loop holds things, and so does work in other threads.
  for (let i = 0; i < 6; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    globalThis.gc?.()
    heapUsed = Math.min(heapUsed, process.memoryUsage().heapUsed)
  }
  return { cycle, heapUsed, rss: process.memoryUsage.rss() }
}
