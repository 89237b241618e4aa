import type { TestContext } from 'node:test'
import { createService, type Service, type ServiceOptions } from 'micrograft'
import { memoryRegistryHub } from '../../dist/registry/memory-registry.js'

/** A service and one that calls it, in one process, with a registry of their own. */
export interface Pair {
  readonly service: Service
  readonly caller: Service
}

export async function pair(
  t: TestContext,
  define: (service: Service) => unknown,
  options: { readonly service?: Partial<ServiceOptions>; readonly caller?: Partial<ServiceOptions> } = {},
): Promise<Pair> {
  const registry = { use: 'memory', options: { hub: memoryRegistryHub() } }
  const service = createService({
    name: 'greeter',
    registry,
    broker: 'memory',
    logger: 'noop',
    ...options.service,
  })
  const caller = createService({
    name: 'caller',
    registry,
    broker: 'memory',
    logger: 'noop',
    ...options.caller,
  })
  t.after(async () => {
    await caller.stop()
    await service.stop()
  })
  define(service)
  await service.start()
  await caller.start()
  return { service, caller }
}
