import { requireNumber, ServiceError, type ComponentType } from '@micrograft/contracts'
import type { TallyReport } from './tally.js'

/** How a swap is to go. */
export interface SwapOptions {
  /** How long calls, streams and connections of the old component may take to end, in milliseconds; then they are cut. @default 10_000 */
  readonly drainMs?: number | undefined
  /** How long the old component is kept ready after the switch, in milliseconds. 0 keeps it not at all. @default 3000 */
  readonly watchMs?: number | undefined
  /** Share of calls on the new component that may fail while it is watched; above it calls go back to the old one. @default 0.1 */
  readonly maxErrorRate?: number | undefined
  /** Calls that must have been made before that share counts. @default 20 */
  readonly minCalls?: number | undefined
  /** Part of the calls that go to the new component, until `share` raises it. Below 1, the old one stays. @default 1 */
  readonly share?: number | undefined
  /**
   * Of a store: whether its entries are copied to the new one and compared, while calls go on. A store
   * does not tell what is left of an entry's time to live; the copies get this one. @default false
   */
  readonly copy?: boolean | { readonly ttlMs: number } | undefined
  /** Who asks; for events. @default `code` */
  readonly by?: string | undefined
}

export type ResolvedSwapOptions = { readonly [K in keyof SwapOptions]-?: NonNullable<SwapOptions[K]> }

const defaults: ResolvedSwapOptions = {
  drainMs: 10_000,
  watchMs: 3000,
  maxErrorRate: 0.1,
  minCalls: 20,
  share: 1,
  copy: false,
  by: 'code',
}

export const swapOptionNames: readonly string[] = Object.keys(defaults)

/** @throws `invalid-option` */
export function resolveSwapOptions(given: SwapOptions): ResolvedSwapOptions {
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const options = { ...defaults, ...set } as ResolvedSwapOptions
  for (const name of ['drainMs', 'watchMs', 'minCalls'] as const)
    requireNumber(`${name} of a swap`, options[name], { min: 0, max: 86_400_000 })
  requireNumber('maxErrorRate of a swap', options.maxErrorRate, { min: 0, max: 1 })
  checkShare(options.share)
  checkCopy(options.copy)
  if (typeof options.by !== 'string' || options.by.length > 200)
    throw new ServiceError(
      'invalid-option',
      `by of a swap is ${JSON.stringify(options.by)}; it is a text of at most 200 characters`,
    )
  return options
}

/** @throws `invalid-option` */
export function checkShare(share: unknown): void {
  requireNumber('share of a swap', share, { min: 0, max: 1 })
}

function checkCopy(copy: unknown): void {
  if (typeof copy === 'boolean') return
  const ttlMs = (copy as { readonly ttlMs?: unknown } | null)?.ttlMs
  if (typeof ttlMs === 'number' && ttlMs > 0 && ttlMs < Infinity) return
  throw new ServiceError(
    'invalid-option',
    `copy of a swap is ${JSON.stringify(copy)}; it is true, false or { ttlMs } with a number above 0`,
  )
}

/** How a swap went. */
export interface SwapReport {
  readonly from: string
  readonly to: string
  /** `sharing` where the new component has a part of the calls, and the swap is not over. */
  readonly outcome: 'swapped' | 'sharing'
  /** Whether everything on the old component had ended before it was disposed. */
  readonly drained: boolean
  /** From the beginning to the end, in milliseconds. */
  readonly durationMs: number
}

/**
 * Where a swap is. `preparing` → `switched` (or `sharing`, then `switched`) → `draining` → `done`;
 * `failed` where the old component still serves, `went-back` where it serves again.
 */
export type SwapPhase = 'preparing' | 'sharing' | 'switched' | 'draining' | 'done' | 'failed' | 'went-back'

/** What is told of a swap: in the log, on the admin socket, and on the diagnostics channel `micrograft:swap`. */
export interface SwapEvent {
  readonly service: string
  readonly type: ComponentType
  /** What was swapped, e.g. `client`, or `handler greeter` of a type of which there may be several. */
  readonly slot: string
  readonly phase: SwapPhase
  readonly from: string
  readonly to: string
  readonly by: string
  /** Since the swap began, in milliseconds. */
  readonly durationMs: number
  /** Calls, streams and connections that are still on the old component. */
  readonly active: number
  /** Whether all of these had ended before it was disposed; once that is known. */
  readonly drained?: boolean | undefined
  /** Part of the calls that go to the new component. */
  readonly share: number
  readonly error?: Error | undefined
}

/** What is in a slot. */
export interface SlotReport {
  readonly slot: string
  readonly type: ComponentType
  /** E.g. `nats 1.2.0`. */
  readonly current: string
  /** What `rollback` would go back to. */
  readonly previous?: string | undefined
  /** What has a part of the calls, or was switched to and is watched. */
  readonly next?: string | undefined
  /** Part of the calls that go to `next`. */
  readonly share?: number | undefined
  /** Calls, streams and connections under way. */
  readonly active: number
  /** By label, while two components are compared. */
  readonly tallies?: Readonly<Record<string, TallyReport>> | undefined
}
