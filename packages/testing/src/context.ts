import {
  ServiceError,
  type ComponentContext,
  type ComponentTypes,
  type Logger,
  type SharedType,
} from '@micrograft/contracts'

/** A logger that writes nothing. */
export const silent: Logger = {
  enabled: () => false,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

/** A context to make a component in by itself: it finds what `components` holds and logs nothing. */
export function componentContext(
  components: { readonly [K in SharedType]?: ComponentTypes[K] } = {},
): ComponentContext {
  return {
    service: 'test',
    log: silent,
    signal: new AbortController().signal,
    use(type) {
      const found = components[type]
      if (!found) throw new ServiceError('not-found', `the test gives no ${type}`)
      return found as never
    },
  }
}
