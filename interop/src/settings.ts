import type { Place, Protocol, Registry } from './cells.js'

/** What both sides of one run know. */
export interface Settings {
  /** In all names, as others may use the same network; short, as names and a UUID share a label of DNS. */
  readonly tag: string
  readonly etcdPort: number
  readonly natsPort: number
  readonly registries: readonly Registry[]
}

export type Side = 'js' | string

export function serviceName({ tag }: Settings, side: Side, protocol: Protocol): string {
  return `${tag}-${side}-${protocol}`
}

/** Where messages from or for a version of go-micro go. */
export function topicName({ tag }: Settings, side: Side, protocol: Protocol, place: Place): string {
  return `${tag}-${side}-${protocol}-${place.registry}-${place.broker}`
}
