import type {
  Registry,
  RegistryEvent,
  RegistryWatcher,
  ServiceRecord,
  WatchOptions,
} from '@micrograft/contracts'

interface Prepared {
  readonly watcher: RegistryWatcher
  readonly differences: RegistryEvent[]
}

/** A watcher that stays when the registry under it is swapped: it tells what differs, and goes on with the other's events. */
export class KeptWatcher implements RegistryWatcher {
  readonly #options: WatchOptions
  readonly #onEnd: () => void
  readonly #prepared = new Map<Registry, Prepared>()
  #registry: Registry
  #source: RegistryWatcher
  #differences: RegistryEvent[] = []
  #ended = false

  constructor(options: WatchOptions, source: RegistryWatcher, registry: Registry, onEnd: () => void) {
    this.#options = options
    this.#source = source
    this.#registry = registry
    this.#onEnd = onEnd
  }

  /** Watches `next` as well, and finds out what it knows otherwise. */
  async prepare(next: Registry): Promise<void> {
    const watcher = await next.watch(this.#options)
    try {
      const [before, after] = await Promise.all([this.#nodes(this.#registry), this.#nodes(next)])
      this.#prepared.set(next, { watcher, differences: differencesOf(before, after) })
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
    this.#registry = next
    this.#source = prepared.watcher
    this.#differences.push(...prepared.differences)
    void Promise.resolve(this.#ended ? prepared.watcher.return?.() : old.return?.()).catch(() => undefined)
  }

  async next(): Promise<IteratorResult<RegistryEvent>> {
    for (;;) {
      const difference = this.#differences.shift()
      if (difference) return { value: difference, done: false }
      const source = this.#source
      try {
        const result = await source.next()
        if (!result.done || source === this.#source) return result
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
