import type { Registry } from '@micrograft/contracts'
import { record } from './records.js'

/** Each method of a registry, to be called in every way that must be refused. */
export const methods: Readonly<
  Record<string, (registry: Registry, signal?: AbortSignal) => Promise<unknown>>
> = {
  register: (registry, signal) => registry.register(record('refused'), { signal }),
  deregister: (registry, signal) => registry.deregister(record('refused'), { signal }),
  get: (registry, signal) => registry.get('greeter', { signal }),
  list: (registry, signal) => registry.list({ signal }),
  watch: (registry, signal) => registry.watch({ signal }),
}
