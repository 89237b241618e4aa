import {
  resolveOptions,
  type CallOptions,
  type ComponentContext,
  type RegisterOptions,
  type Registry,
  type RegistryCapabilities,
  type RegistryWatcher,
  type ServiceRecord,
  type WatchOptions,
} from '@micrograft/contracts'
import { nodeRecords, type NodeWatcher } from '@micrograft/plugin-kit'
import { NodeTable } from './node-table.js'
import { closedError, ttlOf } from './registry-checks.js'

/** What memory registries meet in. */
export interface MemoryRegistryHub {
  readonly nodes: NodeTable
}

export interface MemoryRegistryOptions {
  /** Registries of one hub see the same nodes. @default the one that all of the process share */
  readonly hub?: MemoryRegistryHub | undefined
  /** Not used: here so that every registry takes the flag's options. */
  readonly addresses?: readonly string[] | undefined
}

/** A hub of its own, e.g. for one test. */
export function memoryRegistryHub(): MemoryRegistryHub {
  return { nodes: new NodeTable() }
}

/** Nodes of this process alone. */
export function memoryRegistry(
  options: MemoryRegistryOptions | undefined,
  _context: ComponentContext,
): Registry {
  const { hub } = resolveOptions(
    'the options of the memory registry',
    { hub: undefined, addresses: undefined },
    options,
  )
  return new MemoryRegistry((hub ?? sharedHub()).nodes)
}

/** The process is what the hub is of, and a plugin may bring a copy of this module: so the global object has it. */
function sharedHub(): MemoryRegistryHub {
  const holder = globalThis as { [hubSymbol]?: MemoryRegistryHub }
  return (holder[hubSymbol] ??= memoryRegistryHub())
}

const hubSymbol: unique symbol = Symbol.for('micrograft.memory-registry')

class MemoryRegistry implements Registry {
  readonly name = 'memory'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 0 })
  readonly #nodes: NodeTable
  readonly #watchers = new Set<NodeWatcher>()
  #closed = false

  constructor(nodes: NodeTable) {
    this.#nodes = nodes
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const records = nodeRecords(service)
    const ttl = ttlOf(ttlMs)
    for (const record of records) this.#nodes.set(record, { owner: this, expiresAt: performance.now() + ttl })
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    for (const { name, version, nodes } of nodeRecords(service)) {
      if (this.#nodes.find(name, nodes[0].id)?.record.version === version)
        this.#nodes.delete(name, nodes[0].id)
    }
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    return this.#nodes.get(name)
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    return this.#nodes.list()
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    this.#ready(options.signal)
    const watcher = this.#nodes.watch(options, (ended) => this.#watchers.delete(ended))
    this.#watchers.add(watcher)
    return watcher
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const watcher of this.#watchers) watcher.end(closedError('memory'))
    this.#nodes.disown(this)
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError('memory')
  }
}
