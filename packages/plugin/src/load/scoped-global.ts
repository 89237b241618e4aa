/**
 * `globalThis` as a plugin sees it: it reads the host's, and what it writes is its own.
 *
 * Libraries keep singletons there (undici its dispatcher, zod its registry). Written to the host's
 * they would outlive the plugin, and the next version would find those of the one before. A name
 * that is written so is read as `globalThis.name`; the bare `name` does not find it.
 */
export class ScopedGlobal {
  readonly object: object

  /** @param own What stands in for the host's from the start. */
  constructor(own: object) {
    const overlay = Object.create(globalThis) as Record<PropertyKey, unknown>
    // Never by assignment: some globals are accessors, whose setters would change the host's.
    const define = (name: PropertyKey, value: unknown) =>
      Reflect.defineProperty(overlay, name, { value, writable: true, enumerable: true, configurable: true })
    // A proxy, for getters such as that of `crypto` insist on the real global as their receiver.
    this.object = new Proxy(overlay, {
      get: (_, name) => (Object.hasOwn(overlay, name) ? overlay[name] : Reflect.get(globalThis, name)),
      set: (_, name, value) => define(name, value),
    })
    for (const [name, value] of Object.entries({ ...own, globalThis: this.object, global: this.object }))
      define(name, value)
  }
}
