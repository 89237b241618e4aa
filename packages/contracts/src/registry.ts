import type { CallOptions } from './values.js'

/** One running instance of a service. */
export interface Node {
  /** Unique among all nodes, e.g. `greeter-0f8c…`. */
  readonly id: string
  /** What its transport dials. */
  readonly address: string
  /** `protocol`, `transport`, and whatever the service adds. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The shape of a request or reply, as far as it is known: go-micro's `Value`. */
export interface ValueShape {
  readonly name: string
  readonly type: string
  readonly values: readonly ValueShape[]
}

export interface Endpoint {
  /** `Type.Method` */
  readonly name: string
  readonly request?: ValueShape | undefined
  readonly response?: ValueShape | undefined
  /** `stream` is `server`, `client` or `two-way` for endpoints that are not unary. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The nodes of one version of a service. */
export interface ServiceRecord {
  readonly name: string
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
  readonly endpoints: readonly Endpoint[]
  readonly nodes: readonly Node[]
}

/** A node came, changed or went; `service` holds just the nodes that it is about. */
export interface RegistryEvent {
  readonly type: 'create' | 'update' | 'delete'
  readonly service: ServiceRecord
}

export interface RegisterOptions extends CallOptions {
  /** How long the record stays without being registered again, in milliseconds. @default until it is deregistered */
  readonly ttlMs?: number | undefined
}

export interface WatchOptions extends CallOptions {
  /** Only events of this service. @default all */
  readonly service?: string | undefined
}

/**
 * Changes, in the order in which they were seen. `return()` or dispose ends it and frees what it
 * holds. The signal that `watch` was given ends it too, and so does disposing the registry: a `next`
 * that waits, or else the following one, rejects with the signal's reason, or with `closed`. What of
 * one node has not been read yet may be told as one event.
 */
export interface RegistryWatcher extends AsyncIterableIterator<RegistryEvent>, AsyncDisposable {}

/**
 * Where nodes are found.
 *
 * A record is one version of a service with its nodes; records of one name and version that were
 * registered apart are merged. Registering a node again replaces it and renews its time to live; a
 * node is of one version, so registering it under another moves it, which is told as `update`.
 * Every method rejects with `unavailable` when the backend is out of reach and with `closed` once
 * the registry is disposed. Records are plain data: the registry copies what it is given, and what
 * it gives is not to be changed.
 *
 * Disposing takes out the nodes that this registry was the last to register, and leaves all others:
 * also one that was its own and that another registry has registered since. So one registry takes
 * over from another without a gap: register with the new one, then dispose the old one.
 */
export interface Registry extends AsyncDisposable {
  readonly name: string
  /**
   * Adds the record's nodes; once this resolves, a `get` by any process on this registry sees them,
   * and its watchers are told within `capabilities.visibleWithinMs`. An abort leaves open which were added.
   * @throws `bad-request` for a record without a name or a node without id or address, `too-large` for
   *   one that the backend cannot hold.
   */
  register(service: ServiceRecord, options?: RegisterOptions): Promise<void>
  /** Takes out the record's nodes, whoever registered them; those that are not there, or are of another version now, are no error. */
  deregister(service: ServiceRecord, options?: CallOptions): Promise<void>
  /** Every version of `name` that has a node; empty where there is none. */
  get(name: string, options?: CallOptions): Promise<readonly ServiceRecord[]>
  /** Every service that has a node, sorted by name and version. */
  list(options?: CallOptions): Promise<readonly ServiceRecord[]>
  /**
   * Tells what changes from the moment that this resolves. A node that comes and goes before it is
   * read may be told as nothing, and never in the wrong order. A watcher that lost its backend goes on
   * by itself once that is back, telling what changed meanwhile.
   */
  watch(options?: WatchOptions): Promise<RegistryWatcher>
  readonly capabilities: RegistryCapabilities
}

export interface RegistryCapabilities {
  /** Nodes whose time to live has passed are gone without anybody's help. */
  readonly expiry: boolean
  /** Longest time until the watchers of others are told of a registered node, in milliseconds. */
  readonly visibleWithinMs: number
}
