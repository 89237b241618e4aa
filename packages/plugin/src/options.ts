import { PluginError } from './errors.js'

/** Options with their defaults; what has none may still be `undefined`. */
export type Complete<T, D> = {
  readonly [K in keyof T & keyof D]-?: Exclude<T[K], undefined> | (undefined extends D[K] ? undefined : never)
}

/**
 * `options` over `defaults`, frozen; `undefined` means the default. The argument is not changed.
 *
 * @throws `invalid-option` where a name is not among the defaults; it lists those that are.
 */
export function resolveOptions<T extends object, D extends { readonly [K in keyof T]-?: unknown }>(
  what: string,
  defaults: D,
  options: T | undefined,
): Complete<T, D> {
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
