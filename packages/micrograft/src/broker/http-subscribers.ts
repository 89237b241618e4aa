import type {
  CallOptions,
  Logger,
  Node,
  Registry,
  RegistryWatcher,
  ServiceRecord,
} from '@micrograft/contracts'

/** Under which go-micro's http broker registers its subscriptions. */
export const brokerService = 'micro.http.broker'

/** The version that stands for subscriptions without a queue. */
export const broadcastVersion = 'ff.http.broadcast'

/** Subscriptions of one topic by version: a queue, or those that get everything. */
type Versions = Map<string, Map<string, Node>>

/** Who subscribes to what, as the registry has it: read once and then followed. */
export class HttpSubscribers implements AsyncDisposable {
  readonly #registry: Registry
  readonly #log: Logger
  readonly #topics = new Map<string, Versions>()
  #following: Promise<void> | undefined
  #watcher: RegistryWatcher | undefined
  #closed = false

  constructor(registry: Registry, log: Logger) {
    this.#registry = registry
    this.#log = log
  }

  /** Every list holds the subscriptions of which one must get a message. @throws `unavailable` where the registry cannot be asked. */
  async of(topic: string, options: CallOptions): Promise<readonly (readonly Node[])[]> {
    await this.#follow(options)
    const groups: (readonly Node[])[] = []
    for (const [version, nodes] of this.#topics.get(topic) ?? []) {
      if (version === broadcastVersion) groups.push(...[...nodes.values()].map((node) => [node]))
      else groups.push([...nodes.values()])
    }
    return groups
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await this.#following?.catch(() => undefined)
    await this.#watcher?.[Symbol.asyncDispose]()
  }

  #follow(options: CallOptions): Promise<void> {
    this.#following ??= this.#begin(options).catch((error: unknown) => {
      this.#following = undefined
      throw error
    })
    return this.#following
  }

  async #begin(options: CallOptions): Promise<void> {
    // Watched before it is read: what comes in between is told twice rather than not at all.
    const watcher = await this.#registry.watch({ service: brokerService })
    try {
      for (const record of await this.#registry.get(brokerService, options)) this.#put(record)
    } catch (error) {
      await watcher[Symbol.asyncDispose]()
      throw error
    }
    this.#watcher = watcher
    void this.#apply(watcher)
  }

  async #apply(watcher: RegistryWatcher): Promise<void> {
    try {
      for await (const { type, service } of watcher) {
        if (type === 'delete') this.#take(service)
        else this.#put(service)
      }
    } catch (error) {
      if (!this.#closed) this.#log.warn('the broker lost its registry', { error })
    }
    this.#topics.clear()
    this.#following = undefined
  }

  #put({ version, nodes }: ServiceRecord): void {
    for (const node of nodes) {
      const topic = node.metadata['topic']
      if (topic === undefined || node.metadata['broker'] !== 'http') continue
      const versions: Versions = this.#topics.get(topic) ?? new Map()
      this.#topics.set(topic, versions)
      versions.set(version, (versions.get(version) ?? new Map<string, Node>()).set(node.id, node))
    }
  }

  /** By id alone: a deletion may come without metadata. */
  #take({ nodes }: ServiceRecord): void {
    for (const { id } of nodes) {
      for (const [topic, versions] of this.#topics) {
        for (const [version, known] of versions) {
          known.delete(id)
          if (known.size === 0) versions.delete(version)
        }
        if (versions.size === 0) this.#topics.delete(topic)
      }
    }
  }
}
