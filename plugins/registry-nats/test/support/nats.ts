import type { Registry, RegistryWatcher, ServiceRecord } from '@micrograft/contracts'
import { Plugin, type NatsRegistryOptions } from '@micrograft/registry-nats'
import { componentContext } from '@micrograft/testing'

export function openRegistry(options: NatsRegistryOptions): Promise<Registry> {
  return (Plugin.newFunc as unknown as (...args: unknown[]) => Promise<Registry>)(options, componentContext())
}

export function record(id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  const node = { id, address: '127.0.0.1:4001', metadata: { protocol: 'mucp' } }
  return { name: 'greeter', version: '1.0.0', metadata: {}, endpoints: [], nodes: [node], ...changes }
}

/** Gathers what a watcher tells, as `create a`. */
export function gather(watcher: RegistryWatcher): string[] {
  const told: string[] = []
  void (async () => {
    for await (const { type, service } of watcher)
      told.push(`${type} ${service.nodes.map(({ id }) => id).join()}`)
  })().catch(() => undefined)
  return told
}

export async function ids(registry: Registry, name = 'greeter'): Promise<string> {
  const found = await registry.get(name)
  return found.flatMap(({ nodes }) => nodes.map(({ id }) => id)).join()
}
