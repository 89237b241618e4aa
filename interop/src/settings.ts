import type { Place, Protocol, Registry } from './cells.js'

/** What both sides of one run know. */
export interface Settings {
  /** In all names, as others may use the same network; short, as names and a UUID share a label of DNS. */
  readonly tag: string
  /** The one that is tried. */
  readonly protocol: Protocol
  readonly etcdPort: number
  readonly natsPort: number
  readonly registries: readonly Registry[]
}

/**
 * The name of a service and of a topic: that of this side, or of a version of go-micro. It is another
 * one in each registry, so that what is found in a wrong one does not pass for found.
 */
export function nameAt({ tag, protocol }: Settings, side: string, place: Place): string {
  return `${tag}-${side}-${protocol}-${place.registry}-${place.broker}`
}
