import {
  aCount,
  requireNumber,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type NumberRange,
} from '@micrograft/contracts'

/** Keeps messages for queues until they are handled. */
export interface JetStreamOptions {
  /** The stream; it is made where there is none, with what follows here. @default `micrograft` */
  readonly stream?: string | undefined
  /** The subjects that it holds, e.g. `orders.>`; topics below others are refused. @default all below the broker's prefix */
  readonly subjects?: readonly string[] | undefined
  /** @default `file` */
  readonly storage?: 'file' | 'memory' | undefined
  /** Servers of a cluster that keep a copy each. @default 1 */
  readonly replicas?: number | undefined
  /** How long a message that nobody handles is kept, in milliseconds. @default 604_800_000 (7 days) */
  readonly maxAgeMs?: number | undefined
  /** Most bytes of the stream, which JetStream sets aside; publishing above it is refused with `overloaded`. @default 268_435_456 (256 MiB) */
  readonly maxBytes?: number | undefined
  /** How long after the last sign of life of whoever has a message it is delivered to another, in milliseconds. @default 30_000 */
  readonly ackWaitMs?: number | undefined
  /** Most deliveries of a message; then it is given up. @default there is no limit */
  readonly maxDeliver?: number | undefined
  /** How long a message whose handler rejected waits for its next delivery, in milliseconds: after the first, the second, …; the last holds for all that follow. @default 100, 500, 2000, 10_000, 30_000 */
  readonly backoffMs?: readonly number[] | undefined
  /** Most messages that one subscription has taken and not handled, at least its concurrency. @default 256 */
  readonly prefetch?: number | undefined
  /** Most messages of one queue that all its subscriptions have taken and not handled. @default 10_000 */
  readonly maxAckPending?: number | undefined
  /** How long the messages of a subscription without a queue are kept when its process is gone, in milliseconds. @default 300_000 (5 minutes) */
  readonly inactiveMs?: number | undefined
}

type NoDefault<K> = K extends 'subjects' ? undefined : never

const defaults: {
  readonly [K in keyof Required<JetStreamOptions>]: Exclude<JetStreamOptions[K], undefined> | NoDefault<K>
} = {
  stream: 'micrograft',
  subjects: undefined,
  storage: 'file',
  replicas: 1,
  maxAgeMs: 604_800_000,
  maxBytes: 268_435_456,
  ackWaitMs: 30_000,
  maxDeliver: Infinity,
  backoffMs: [100, 500, 2000, 10_000, 30_000],
  prefetch: 256,
  maxAckPending: 10_000,
  inactiveMs: 300_000,
}

export type JetStreamSettings = {
  readonly [K in keyof JetStreamOptions]-?: Exclude<JetStreamOptions[K], undefined>
}

/** A hundred years: JetStream counts in 63 bits of nanoseconds. */
const aTime: NumberRange = { min: 1, max: 100 * 366 * 86_400_000 }

const what = 'the jetstream options of the nats broker'

/** @throws `invalid-option` */
export function jetStreamSettings(options: JetStreamOptions, prefix: string): JetStreamSettings {
  const resolved = resolveOptions(what, defaults, options)
  const { stream, storage, maxDeliver, backoffMs, subjects = [`${prefix}.>`] } = resolved
  if (!/^[\w-]{1,128}$/.test(stream)) {
    throw invalid(`${JSON.stringify(stream)} is no name of a stream; use letters, digits, "_" and "-"`)
  }
  if (storage !== 'file' && storage !== 'memory') {
    throw invalid(`storage is ${JSON.stringify(storage)}; give file or memory`)
  }
  requireNumbers(what, resolved, {
    replicas: aCount,
    maxBytes: aCount,
    prefetch: aCount,
    maxAckPending: aCount,
    maxAgeMs: aTime,
    ackWaitMs: aTime,
    inactiveMs: aTime,
  })
  if (maxDeliver !== Infinity) requireNumber(`maxDeliver of ${what}`, maxDeliver, aCount)
  if (backoffMs.length === 0 || backoffMs.some((ms) => !(Number.isFinite(ms) && ms >= 0))) {
    throw invalid('backoffMs must be numbers from 0 up, one at least')
  }
  if (subjects.length === 0 || subjects.some((each) => !/^[^\s.]+(?:\.[^\s.]+)*$/.test(each))) {
    throw invalid('jetstream.subjects must be subjects, one at least, e.g. orders.>')
  }
  return { ...resolved, subjects }
}

function invalid(message: string): ServiceError {
  return new ServiceError('invalid-option', message)
}
