/** Something that a plugin left behind and that its scope ended. */
export interface Leftover {
  readonly kind: 'timeout' | 'interval' | 'immediate' | 'process listener'
  /** What tells it from others of its kind, e.g. `every 1000 ms, calling refreshTokens` or `SIGHUP, calling reload`. */
  readonly what: string
}

/** `, calling tick` for a function that has a name. */
export function calling(callback: unknown): string {
  try {
    // A static field, a getter, a proxy: it need not be text, and to read it can throw.
    const { name } = callback as { readonly name?: unknown }
    return typeof name === 'string' && name !== '' ? `, calling ${name}` : ''
  } catch {
    return ''
  }
}
