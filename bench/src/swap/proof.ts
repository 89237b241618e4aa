import { join } from 'node:path'
import { number, table } from '../markdown.js'
import { Fleet, type Outcome } from './fleet.js'
import { fullLoad } from './load.js'
import type { MemoryReading } from './member-protocol.js'
import { swappedTypes, type PluginFiles, type SwappedType } from './plugin-files.js'

/** What 1,000 swaps of one type came to. */
export interface ProofResult {
  readonly type: SwappedType
  readonly swaps: number
  readonly outcome: Outcome
  /** Swaps where something was still under way at the drain deadline. */
  readonly cut: number
  readonly medianMs: number
  /** Heap and descriptors of both processes together, early and late. */
  readonly early: MemoryReading
  readonly late: MemoryReading
}

export interface ProofOptions {
  readonly folder: string
  readonly files: PluginFiles
  readonly swaps: number
  /** After how many the first reading is taken. */
  readonly early: number
}

/** A stream ends where it began: on these, one that never ended would be cut at the drain deadline. */
const holdStreams: ReadonlySet<string> = new Set(['client', 'server', 'transport', 'handler'])

export async function proveAll(options: ProofOptions): Promise<ProofResult[]> {
  const results: ProofResult[] = []
  for (const type of swappedTypes) {
    results.push(await prove(type, options))
    const { outcome, medianMs } = results.at(-1) as ProofResult
    console.log(`  ${type}: ${outcome.calls} calls, ${wrong(outcome)} wrong, ${number(medianMs)} ms a swap`)
  }
  return results
}

async function prove(
  type: SwappedType,
  { folder, files, swaps, early: at }: ProofOptions,
): Promise<ProofResult> {
  await using fleet = await Fleet.start({ folder: join(folder, `proof-${type}`), files })
  await fleet.begin({ ...fullLoad, lasting: !holdStreams.has(type) })
  await fleet.pass(100)
  let early: MemoryReading | undefined
  let cut = 0
  const took: number[] = []
  for (let i = 1; i <= swaps; i++) {
    const { drained, durationMs } = await fleet.swap(type)
    took.push(durationMs)
    if (!drained) cut++
    await fleet.pass(5)
    if (i === at) early = sum(await fleet.memory())
  }
  const late = sum(await fleet.memory())
  await fleet.end()
  const outcome = await fleet.outcome()
  await fleet.stop()
  took.sort((a, b) => a - b)
  return { type, swaps, outcome, cut, medianMs: took[took.length >> 1] ?? 0, early: early ?? late, late }
}

function sum({ greeter, caller }: Readonly<Record<'greeter' | 'caller', MemoryReading>>): MemoryReading {
  return {
    heapUsed: greeter.heapUsed + caller.heapUsed,
    descriptors:
      greeter.descriptors === undefined ? undefined : greeter.descriptors + (caller.descriptors ?? 0),
    plugins: greeter.plugins + caller.plugins,
  }
}

/** Everything that should be 0. */
export function wrong({ failed, doubled, lost, messagesLost, messagesDoubled, uncounted }: Outcome): number {
  return failed + doubled + lost + messagesLost + messagesDoubled + Math.abs(uncounted)
}

export function describeProof(results: readonly ProofResult[], early: number): string {
  const rows = results.map(({ type, swaps, outcome, cut, medianMs, early: first, late }) => [
    type,
    count(swaps),
    count(outcome.calls),
    count(outcome.streams + outcome.channels),
    count(outcome.published),
    count(outcome.failed),
    count(outcome.lost + outcome.doubled),
    count(outcome.messagesLost + outcome.messagesDoubled),
    count(cut),
    number(medianMs),
    (late.heapUsed / first.heapUsed).toFixed(2),
    `${(late.descriptors ?? 0) - (first.descriptors ?? 0)}`,
  ])
  const head = [
    'type',
    'swaps',
    'calls',
    'streams',
    'messages',
    'failed',
    'requests lost or doubled',
    'messages lost or doubled',
    'cut at the deadline',
    'ms a swap',
    `heap ÷ after ${early}`,
    'more descriptors',
  ]
  return `## Swapped under full load\n\nTwo processes, 32 calls at a time, streams both ways, two publishers with a queue and without. Nothing is tried again, so whatever goes wrong shows. Each request and message is numbered and counted where it arrives.\n\n${table(head, rows)}\n`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
