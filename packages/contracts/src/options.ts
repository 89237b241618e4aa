import { ServiceError } from './errors.js'

/** Options with their defaults; what has none may still be `undefined`. */
export type Resolved<T, D> = {
  readonly [K in keyof T & keyof D]-?: Exclude<T[K], undefined> | (undefined extends D[K] ? undefined : never)
}

/**
 * The one merge of options that implementations need: `options` over `defaults`, complete and frozen;
 * `undefined` means the default, and the argument is not changed.
 *
 * @param what Names the options in an error, e.g. `the options of the memory store`.
 * @throws `invalid-option` where a name is not among the defaults; it lists those that are. Also where
 *   `options` are no object.
 */
export function resolveOptions<T extends object, D extends { readonly [K in keyof T]-?: unknown }>(
  what: string,
  defaults: D,
  options: T | undefined,
): Resolved<T, D> {
  if (typeof (options ?? {}) !== 'object')
    throw new ServiceError('invalid-option', `${what} are ${String(options)}; give an object`)
  const resolved: Record<string, unknown> = { ...defaults }
  for (const [name, value] of Object.entries(options ?? {})) {
    if (!Object.hasOwn(defaults, name)) {
      throw new ServiceError(
        'invalid-option',
        `${what} have no ${JSON.stringify(name)}; there are ${Object.keys(defaults).join(', ')}`,
      )
    }
    if (value !== undefined) resolved[name] = value
  }
  return Object.freeze(resolved) as Resolved<T, D>
}
