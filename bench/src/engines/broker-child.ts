import { childInput, report } from '../child.js'
import type { How } from './engines.js'
import { brokerLibraries } from './broker-libraries.js'
import { concurrency, queue, topic, type BrokerSide } from './broker-side.js'
import { pluginService, type PluginInput } from './plugin-service.js'

export interface BrokerInput extends PluginInput {
  readonly how: How
  readonly key: string
  readonly ms: number
}

export interface BrokerOutput {
  /** Messages published and consumed in a second, with 64 being published at a time. */
  readonly perSecond: number
  /** From publishing to consuming, one at a time, in milliseconds. */
  readonly p50: number
  readonly p99: number
}

async function throughPlugin(input: PluginInput): Promise<BrokerSide> {
  const broker = (await pluginService('broker', input)).use('broker')
  return {
    publish: (body) => broker.publish(topic, { header: {}, body }),
    async subscribe(take) {
      await broker.subscribe(topic, async () => take(), { queue, concurrency })
    },
  }
}

const { how, key, ms, ...input } = childInput<BrokerInput>()
const side = how === 'plugin' ? await throughPlugin(input) : await brokerLibraries[key]?.(input.address)
if (!side) throw new Error(`there is no library for ${key}`)
const body = Buffer.alloc(100, 'x')
let taken = 0
let waiting: { readonly count: number; readonly resolve: () => void } | undefined
await side.subscribe(() => {
  if (++taken === waiting?.count) waiting.resolve()
})

/** Resolves when so many have been taken. */
function until(count: number): Promise<void> {
  if (taken >= count) return Promise.resolve()
  return new Promise((resolve) => (waiting = { count, resolve }))
}

async function many(published: BrokerSide, durationMs: number): Promise<number> {
  const before = taken
  let sent = 0
  const began = performance.now()
  const loop = async () => {
    while (performance.now() - began < durationMs) {
      sent++
      await published.publish(body)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  await until(before + sent)
  return (sent / (performance.now() - began)) * 1000
}

async function oneByOne(published: BrokerSide, durationMs: number): Promise<readonly number[]> {
  const times: number[] = []
  const end = performance.now() + durationMs
  while (performance.now() < end) {
    const began = performance.now()
    const next = taken + 1
    await Promise.all([published.publish(body), until(next)])
    times.push(performance.now() - began)
  }
  return times.sort((a, b) => a - b)
}

await many(side, ms / 2)
const perSecond = await many(side, ms)
const times = await oneByOne(side, ms)
const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] as number
report({ perSecond, p50: at(0.5), p99: at(0.99) } satisfies BrokerOutput)
process.exit(0)
