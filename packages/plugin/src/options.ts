import { PluginError } from './errors.js'

/** Options with their defaults; what has none may still be `undefined`. */
export type Complete<T, D> = {
  readonly [K in keyof T & keyof D]-?: Exclude<T[K], undefined> | (undefined extends D[K] ? undefined : never)
}

/**
 * `options` over `defaults`, frozen; `undefined` means the default. The argument is not changed.
 *
 * @throws `invalid-option` where a name is not among the defaults; it lists those that are. Also where
 *   `options` are no object.
 */
export function resolveOptions<T extends object, D extends { readonly [K in keyof T]-?: unknown }>(
  what: string,
  defaults: D,
  options: T | undefined,
): Complete<T, D> {
  if (typeof (options ?? {}) !== 'object')
    throw new PluginError('invalid-option', `${what} are ${String(options)}; give an object`)
  const resolved: Record<string, unknown> = { ...defaults }
  for (const [name, value] of Object.entries(options ?? {})) {
    if (!Object.hasOwn(defaults, name)) {
      throw new PluginError(
        'invalid-option',
        `${what} have no ${JSON.stringify(name)}; there are ${Object.keys(defaults).join(', ')}`,
      )
    }
    if (value !== undefined) resolved[name] = value
  }
  return Object.freeze(resolved) as Complete<T, D>
}

/** @throws `invalid-option` unless `value` is a whole number from `least` up. */
export function requireCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new PluginError(
      'invalid-option',
      `${name} is ${String(value)}; give a whole number from ${least} up`,
    )
  }
}

/** The longest that a timer of Node's waits; what is above fires at once. */
const longestMs = 2_147_483_647

/** @throws `invalid-option` unless `value` is a time that a timer can wait. */
export function requireTime(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > longestMs) {
    throw new PluginError(
      'invalid-option',
      `${name} is ${String(value)}; give a whole number from ${least} to ${longestMs}`,
    )
  }
}

/** @throws `invalid-option` unless `value` is a list of texts, or was left out. */
export function requireTexts(name: string, value: unknown): void {
  if (value === undefined) return
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string'))
    throw new PluginError('invalid-option', `${name} is no list of texts; write it as [first, second]`)
}
