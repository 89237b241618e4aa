// A registry of one's own: every node is a file in the folder that --registry_address names.

import { setTimeout as sleep } from 'node:timers/promises'
import {
  definePlugin,
  type ComponentContext,
  type Registry,
  type RegistryEvent,
  type RegistryWatcher,
  type ServiceRecord,
} from '@micrograft/contracts'
import { Folder } from './folder.js'

export const Plugin = definePlugin({
  name: 'folder',
  type: 'registry',
  version: '1.0.0',
  newFunc: ({ addresses = ['nodes'] }: { addresses?: readonly string[] }, context: ComponentContext) => {
    context.log.info('folder registry made')
    return folderRegistry(new Folder(addresses[0] as string))
  },
})

function folderRegistry(folder: Folder<ServiceRecord>): Registry {
  const list = async () => [...(await folder.all()).values()]

  async function* changes(name: string | undefined, signal: AbortSignal): AsyncGenerator<RegistryEvent> {
    let before = new Map<string, ServiceRecord>()
    while (!signal.aborted) {
      const now = new Map(
        [...(await folder.all())].filter(([, service]) => name === undefined || service.name === name),
      )
      for (const [id, service] of now)
        if (JSON.stringify(before.get(id)) !== JSON.stringify(service))
          yield { type: before.has(id) ? 'update' : 'create', service }
      for (const [id, service] of before) if (!now.has(id)) yield { type: 'delete', service }
      before = now
      await sleep(20, undefined, { signal }).catch(() => undefined)
    }
  }

  return {
    name: 'folder',
    capabilities: { expiry: false, visibleWithinMs: 40 },
    async register(service) {
      for (const node of service.nodes) await folder.put(node.id, { ...service, nodes: [node] })
    },
    async deregister(service) {
      for (const { id } of service.nodes) await folder.delete(id)
    },
    get: async (name) => (await list()).filter((service) => service.name === name),
    list,
    async watch({ service } = {}): Promise<RegistryWatcher> {
      const ended = new AbortController()
      const events = changes(service, ended.signal)
      const end = async () => ended.abort()
      const watcher: RegistryWatcher = {
        next: () => events.next(),
        // The generator's own would wait for the next change.
        return: async () => (await end(), { value: undefined, done: true }),
        [Symbol.asyncIterator]: () => watcher,
        [Symbol.asyncDispose]: end,
      }
      return watcher
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}
