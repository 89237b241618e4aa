/** What `Caller` does for one endpoint; `request` and the rest are handed on as they are. */
export type EndpointFunction = (endpoint: string, ...args: never[]) => unknown

/**
 * `{ Type: { Method } }` for whatever names are asked of it: a client has a service's types, and not
 * its definition. Functions are made once and may be kept.
 */
export function serviceCalls(make: EndpointFunction): object {
  return lookup((type) =>
    lookup(
      (method) =>
        (...args: never[]) =>
          make(`${type}.${method}`, ...args),
    ),
  )
}

function lookup(make: (name: string) => unknown): object {
  const made = new Map<string, unknown>()
  return new Proxy(Object.freeze({}), {
    get(_, name) {
      // An object with a `then` would be taken for a promise.
      if (typeof name === 'symbol' || name === 'then') return undefined
      if (!made.has(name)) made.set(name, make(name))
      return made.get(name)
    },
  })
}
