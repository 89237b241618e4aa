import type { Service } from '../service/service.js'
import { componentTypes } from '../components/contract-shapes.js'
import type { AdminTarget } from './admin-socket.js'

/** A service as its admin socket sees it. */
export function adminTarget(service: Service): AdminTarget {
  return {
    about: () => ({
      service: service.name,
      version: service.record.version,
      node: service.record.nodes[0]?.id ?? '',
      pid: process.pid,
      address: service.address,
    }),
    slots: () => ({
      slots: service.slots,
      catalogue: Object.fromEntries(componentTypes.map((type) => [type, service.catalogue.names(type)])),
      plugins: service.plugins.platform.plugins.map(({ manifest: { name, version }, path }) => ({
        name,
        version,
        path,
      })),
    }),
    swap: ({ type, target, options }) => service.swap(type, target, options),
    share: ({ type, share, name }) => service.share(type, share, name),
    rollback: ({ type, name, by }) => service.rollback(type, name, by),
    onSwap: (listener) => service.onSwap(listener),
  }
}
