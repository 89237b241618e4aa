import { interleave } from '../rounds.js'
import type { Run } from '../sections.js'
import type { Payload } from './adapter.js'
import { Pair, type PairLoad, type PairMemory } from './pair.js'
import { payloadOf } from './payloads.js'
import type { Variant } from './variants.js'

export interface LoadPoint {
  readonly inFlight: number
  readonly bytes: number
}

/** What a pair used: at first, after a few calls, and at the most. */
export interface Measured<T> {
  readonly value: T
  readonly idle: PairMemory
  readonly end: PairMemory
}

/** Measures every variant once a round, each time with a fresh pair of processes. */
export async function measurePairs<T>(
  run: Run,
  variants: readonly Variant[],
  measure: (pair: Pair, variant: Variant) => Promise<T>,
  message?: Payload,
): Promise<Record<string, Measured<T>[]>> {
  const once = async (variant: Variant): Promise<Measured<T>> => {
    await using pair = await Pair.start(variant, { folder: run.folder, around: run.around, message })
    // Its memory before it has worked.
    await new Promise((resolve) => setTimeout(resolve, run.quick ? 0 : 200))
    const idle = pair.memory
    const value = await measure(pair, variant)
    return { value, idle, end: pair.memory }
  }
  return interleave(
    run.rounds,
    Object.fromEntries(
      variants.map((variant) => [
        variant.key,
        // One retry: an hour of measuring is not to end with one process of a peer.
        () => once(variant).catch(() => once(variant)),
      ]),
    ),
  )
}

/** Warms a pair up, and loads it at each point. */
export async function loadAt(run: Run, pair: Pair, points: readonly LoadPoint[]): Promise<PairLoad[]> {
  const { ms, warmUpMs } = run
  const { inFlight, bytes } = points.reduce((a, b) => (b.inFlight > a.inFlight && b.inFlight <= 64 ? b : a))
  await pair.load(payloadOf(bytes), inFlight, warmUpMs)
  const loads: PairLoad[] = []
  for (const point of points) loads.push(await pair.load(payloadOf(point.bytes), point.inFlight, ms))
  return loads
}

export function perSecond({ calls, ms }: PairLoad): number {
  return (calls / ms) * 1000
}
