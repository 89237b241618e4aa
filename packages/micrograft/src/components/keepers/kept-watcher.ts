import type {
  Registry,
  RegistryEvent,
  RegistryWatcher,
  ServiceRecord,
  WatchOptions,
} from '@micrograft/contracts'

interface Prepared {
  readonly watcher: RegistryWatcher
  readonly differences: readonly RegistryEvent[]
  /** Nodes that were told of since, by what is newer than the differences. */
  readonly toldSince: Set<string>
}

/**
 * A watcher that stays when the registry under it is swapped: it tells what differs, and goes on with the
 * other's events. What differs is found out from what was told here, and not from what the old registry
 * knows: it may know of changes that nobody has read yet.
 */
export class KeptWatcher implements RegistryWatcher {
  readonly #options: WatchOptions
  readonly #onEnd: () => void
  readonly #prepared = new Map<Registry, Prepared>()
  /** Each node as it was last told, by id. */
  readonly #told = new Map<string, ServiceRecord>()
  /** Those that were told of before it was known what had been there at the beginning. */
  #toldEarly: Set<string> | undefined = new Set()
  readonly #begun: Promise<void>
  #source: RegistryWatcher
  #registry: Registry
  #differences: RegistryEvent[] = []
  #ended = false

  constructor(options: WatchOptions, source: RegistryWatcher, registry: Registry, onEnd: () => void) {
    this.#options = options
    this.#source = source
    this.#registry = registry
    this.#onEnd = onEnd
    this.#begun = this.#begin(registry)
  }

  /** What it is told by. */
  get registry(): Registry {
    return this.#registry
  }

  /** Watches `next` as well, and finds out what it knows otherwise. */
  async prepare(next: Registry): Promise<void> {
    await this.#begun
    const watcher = await next.watch(this.#options)
    try {
      const after = await this.#nodes(next)
      const differences = differencesOf(this.#told, after)
      this.#prepared.set(next, { watcher, differences, toldSince: new Set() })
    } catch (error) {
      await watcher.return?.()
      throw error
    }
  }

  async cancel(next: Registry): Promise<void> {
    await this.#prepared.get(next)?.watcher.return?.()
    this.#prepared.delete(next)
  }

  /** Goes on with `next`, which it was prepared for. */
  move(next: Registry): void {
    const prepared = this.#prepared.get(next)
    if (!prepared) return
    this.#prepared.delete(next)
    const old = this.#source
    this.#source = prepared.watcher
    this.#registry = next
    const isNewest = ({ service }: RegistryEvent) =>
      !service.nodes.some(({ id }) => prepared.toldSince.has(id))
    this.#differences.push(...prepared.differences.filter(isNewest))
    void Promise.resolve(this.#ended ? prepared.watcher.return?.() : old.return?.()).catch(() => undefined)
  }

  async next(): Promise<IteratorResult<RegistryEvent>> {
    for (;;) {
      const difference = this.#differences.shift()
      if (difference) return this.#tell({ value: difference, done: false })
      const source = this.#source
      try {
        const result = await source.next()
        if (!result.done || source === this.#source) return this.#tell(result)
      } catch (error) {
        if (source === this.#source) throw error
      }
    }
  }

  async return(): Promise<IteratorResult<RegistryEvent>> {
    this.#ended = true
    this.#onEnd()
    this.#differences = []
    for (const { watcher } of this.#prepared.values()) await watcher.return?.()
    await this.#source.return?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #tell(result: IteratorResult<RegistryEvent>): IteratorResult<RegistryEvent> {
    if (result.done) return result
    const { type, service } = result.value
    for (const node of service.nodes) {
      if (type === 'delete') this.#told.delete(node.id)
      else this.#told.set(node.id, { ...service, nodes: [node] })
      this.#toldEarly?.add(node.id)
      for (const { toldSince } of this.#prepared.values()) toldSince.add(node.id)
    }
    return result
  }

  /** Who watches reads what is there first, and is told what changes. */
  async #begin(registry: Registry): Promise<void> {
    try {
      for (const [id, record] of await this.#nodes(registry))
        if (!this.#toldEarly?.has(id)) this.#told.set(id, record)
    } catch {
      // What cannot be read now is told by a registry that takes over as something new.
    }
    this.#toldEarly = undefined
  }

  /** Every node with its record, by id. */
  async #nodes(registry: Registry): Promise<Map<string, ServiceRecord>> {
    const { service } = this.#options
    const records = await (service === undefined ? registry.list() : registry.get(service))
    return new Map(
      records.flatMap((record) => record.nodes.map((node) => [node.id, { ...record, nodes: [node] }])),
    )
  }
}

function differencesOf(
  before: ReadonlyMap<string, ServiceRecord>,
  after: ReadonlyMap<string, ServiceRecord>,
): RegistryEvent[] {
  const events: RegistryEvent[] = []
  // What is there now comes first, so that a service that moved is never seen without a node.
  for (const [id, service] of after) {
    const old = before.get(id)
    if (!old) events.push({ type: 'create', service })
    else if (JSON.stringify(old) !== JSON.stringify(service)) events.push({ type: 'update', service })
  }
  for (const [id, service] of before) if (!after.has(id)) events.push({ type: 'delete', service })
  return events
}
