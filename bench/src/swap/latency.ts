import { join } from 'node:path'
import { number, table } from '../markdown.js'
import { figure, ratio, type Figure } from '../statistics.js'
import { Fleet } from './fleet.js'
import { fullLoad } from './load.js'
import type { PluginFiles } from './plugin-files.js'

const everyMs = 2000

/** Calls of one stretch, by when they began. */
export interface Timeline {
  readonly began: readonly number[]
  readonly ms: readonly number[]
  /** When swaps were asked for, on the same clock. */
  readonly swaps: readonly number[]
}

export interface LatencyResult {
  readonly seconds: number
  readonly withoutP50: Figure
  readonly withoutP99: Figure
  readonly withP50: Figure
  readonly withP99: Figure
  readonly p99Ratio: Figure
  /** Longest time between two turns of the event loop of the swapped process, in milliseconds. */
  readonly stallWithout: Figure
  readonly stallWith: Figure
  readonly timeline: Timeline
}

export interface LatencyOptions {
  readonly folder: string
  readonly files: PluginFiles
  readonly rounds: number
  readonly seconds: number
}

/** The handlers swapped every 2 s, every other time to a version of 190 KB, against no swap; one after the other, rounds interleaved. */
export async function measureLatency({
  folder,
  files,
  rounds,
  seconds,
}: LatencyOptions): Promise<LatencyResult> {
  await using fleet = await Fleet.start({ folder: join(folder, 'latency'), files })
  const shape = { ...fullLoad, lasting: true, streams: 1, channels: 1, publishers: 1 }
  await fleet.begin(shape)
  await fleet.pass(2000)
  const without: Stretch[] = []
  const withSwaps: Stretch[] = []
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [false, true] : [true, false]
    for (const swapping of order)
      (swapping ? withSwaps : without).push(await stretch(fleet, seconds, swapping))
  }
  await fleet.end()
  await fleet.stop()
  const of = (stretches: readonly Stretch[], pick: (each: Stretch) => number) => stretches.map(pick)
  const [p99Without, p99With] = [of(without, p99), of(withSwaps, p99)]
  return {
    seconds,
    withoutP50: figure(of(without, p50)),
    withoutP99: figure(p99Without),
    withP50: figure(of(withSwaps, p50)),
    withP99: figure(p99With),
    p99Ratio: ratio(p99With, p99Without),
    stallWithout: figure(of(without, ({ stallMs }) => stallMs)),
    stallWith: figure(of(withSwaps, ({ stallMs }) => stallMs)),
    timeline: withSwaps.at(-1) as Stretch,
  }
}

interface Stretch extends Timeline {
  readonly sorted: readonly number[]
  readonly stallMs: number
}

const p50 = ({ sorted }: Stretch): number => sorted[Math.floor(sorted.length * 0.5)] ?? 0
const p99 = ({ sorted }: Stretch): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0

async function stretch(fleet: Fleet, seconds: number, swapping: boolean): Promise<Stretch> {
  await fleet.greeter.ask('latencies', 'begin')
  const { at } = await fleet.caller.ask('latencies', 'begin')
  const swaps: number[] = []
  const end = Date.now() + seconds * 1000
  for (let next = Date.now() + everyMs / 2; next < end; next += everyMs) {
    await until(next)
    if (!swapping) continue
    swaps.push(Date.now() - at)
    await fleet.swap('handler')
  }
  await until(end)
  const { began, ms } = await fleet.caller.ask('latencies', 'end')
  const { stallMs } = await fleet.greeter.ask('latencies', 'end')
  return { began, ms, swaps, stallMs, sorted: [...ms].sort((a, b) => a - b) }
}

function until(at: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())))
}

export function describeLatency(result: LatencyResult): string {
  const { seconds, withoutP50, withoutP99, withP50, withP99, p99Ratio, stallWithout, stallWith } = result
  const rows = [
    ['p50, ms', number(withoutP50.median), number(withP50.median), ''],
    ['p99, ms', number(withoutP99.median), number(withP99.median), number(p99Ratio.median)],
    [
      'longest stall of the service’s event loop, ms',
      number(stallWithout.median),
      number(stallWith.median),
      '',
    ],
  ]
  return `## Latency while handlers are swapped every 2 s\n\nStretches of ${seconds} s at full load, with and without swaps, in turn. Every other swap goes to a plugin of 190 KB, which is opened, verified and compiled in the process that answers the calls.\n\n${table(['', 'without swaps', 'with swaps', 'with ÷ without'], rows)}\n\n![Latency over time, with the swaps marked](swap.svg)\n`
}
