import { ServiceError } from './errors.js'

/** The longest time of a timer of Node, in milliseconds: a longer one would be over at once. */
export const longestTimerMs = 2_147_483_647

/** `ms` as a timer takes it: what is longer, or has no end, is as long as can be. */
export function timerMs(ms: number): number {
  return Math.min(ms, longestTimerMs)
}

/** Which numbers an option may be. */
export interface NumberRange {
  readonly min: number
  /** `Infinity` where it may have no end. @default Number.MAX_SAFE_INTEGER */
  readonly max?: number | undefined
  /** @default false */
  readonly isWhole?: boolean | undefined
}

/** How many of something, or how large: a whole number from 1 up. */
export const aCount: NumberRange = { min: 1, isWhole: true }

/** Whole milliseconds that a timer can wait. */
export const aTimer: NumberRange = { min: 1, max: longestTimerMs, isWhole: true }

/** @throws `invalid-option` unless `value` is a number of the range; `what` names it. */
export function requireNumber(
  what: string,
  value: unknown,
  { min, max = Number.MAX_SAFE_INTEGER, isWhole = false }: NumberRange,
): void {
  if (typeof value === 'number' && value >= min && value <= max && (!isWhole || Number.isInteger(value)))
    return
  const range = max >= Number.MAX_SAFE_INTEGER ? `from ${min} up` : `from ${min} to ${max}`
  throw wrong(what, value, `a ${isWhole ? 'whole ' : ''}number ${range}`)
}

/**
 * Holds each of `options` that has a range against it.
 * @param what Names the options in an error, as in `resolveOptions`.
 * @throws `invalid-option`
 */
export function requireNumbers<N extends string>(
  what: string,
  options: Readonly<Record<NoInfer<N>, unknown>>,
  ranges: Readonly<Record<N, NumberRange>>,
): void {
  for (const name of Object.keys(ranges) as N[])
    requireNumber(`${name} of ${what}`, options[name], ranges[name])
}

/**
 * Holds that each of `options` is a number above 0. `Infinity`, which is one, is no limit.
 * @param what As in `requireNumbers`.
 * @throws `invalid-option`
 */
export function requireLimits(what: string, options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options))
    if (!(typeof value === 'number' && value > 0))
      throw wrong(`${name} of ${what}`, value, 'a number above 0')
}

function wrong(what: string, value: unknown, right: string): ServiceError {
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return new ServiceError('invalid-option', `${what} is ${shown}; give ${right}`)
}
