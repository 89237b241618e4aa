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

/** For how long a subscription that was gone, and that the registry names all the same, is no reason to ask again. */
const askAgainAfterMs = 1000

/** Subscriptions of which one must get a message. */
export interface Group {
  /** `undefined` where it is one subscription without a queue. */
  readonly queue: string | undefined
  readonly nodes: readonly Node[]
}

/** Subscriptions of one topic by version: a queue, or those that get everything. */
type Versions = Map<string, Map<string, Node>>

const none: readonly Group[] = []

/** Who subscribes to what, as the registry has it: read once and then followed. */
export class HttpSubscribers implements AsyncDisposable {
  readonly #registry: Registry
  readonly #log: Logger
  readonly #topics = new Map<string, Versions>()
  /** What `known` gave, until something changes. */
  readonly #groups = new Map<string, readonly Group[]>()
  /** Ids that a deletion named in this turn of the loop. */
  readonly #leaving = new Set<string>()
  /** When ids were found to be gone that the registry names. */
  readonly #gone = new Map<string, number>()
  #following: Promise<void> | undefined
  #reading: Promise<void> = Promise.resolve()
  #readingNext: Promise<void> | undefined
  #watcher: RegistryWatcher | undefined
  #closed = false

  constructor(registry: Registry, log: Logger) {
    this.#registry = registry
    this.#log = log
  }

  /** As `of`, where nothing has to be waited for. */
  known(topic: string): readonly Group[] | undefined {
    if (!this.#watcher) return undefined
    let groups = this.#groups.get(topic)
    if (!groups) {
      groups = this.#groupsOf(topic)
      // What nobody subscribes to must not pile up.
      if (groups.length > 0) this.#groups.set(topic, groups)
    }
    return groups
  }

  /** @throws `unavailable` where the registry cannot be asked. */
  async of(topic: string, options: CallOptions): Promise<readonly Group[]> {
    for (;;) {
      await this.#follow(options)
      const groups = this.known(topic)
      if (groups || this.#closed) return groups ?? none
    }
  }

  /**
   * Asks the registry anew, because `gone` were not there any more: what took their place may have come
   * to the registry, and not yet to who watches it.
   */
  async ofAgain(topic: string, gone: readonly string[], options: CallOptions): Promise<readonly Group[]> {
    const now = performance.now()
    if (gone.some((id) => now - (this.#gone.get(id) ?? -Infinity) > askAgainAfterMs)) {
      await this.#read()
      for (const id of gone) this.#gone.set(id, now)
      for (const id of this.#gone.keys()) if (!this.#isKnown(id)) this.#gone.delete(id)
    }
    options.signal?.throwIfAborted()
    return this.of(topic, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await this.#following?.catch(() => undefined)
    await this.#watcher?.[Symbol.asyncDispose]()
  }

  #groupsOf(topic: string): readonly Group[] {
    const groups: Group[] = []
    for (const [version, nodes] of this.#topics.get(topic) ?? []) {
      if (version !== broadcastVersion) groups.push({ queue: version, nodes: [...nodes.values()] })
      else for (const node of nodes.values()) groups.push({ queue: undefined, nodes: [node] })
    }
    return groups
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
        if (type === 'delete') this.#leave(service)
        else this.#put(service)
      }
    } catch (error) {
      if (!this.#closed) this.#log.warn('the broker lost its registry', { error })
    }
    this.#topics.clear()
    this.#groups.clear()
    this.#watcher = undefined
    this.#following = undefined
  }

  /** A reading that is under way may have begun too early: another follows it, for all who ask meanwhile. */
  #read(): Promise<void> {
    return (this.#readingNext ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#readingNext = undefined
        return (this.#reading = this.#readNow())
      }))
  }

  async #readNow(): Promise<void> {
    const before = new Set<string>()
    for (const versions of this.#topics.values())
      for (const nodes of versions.values()) for (const id of nodes.keys()) before.add(id)
    for (const record of await this.#registry.get(brokerService)) {
      this.#put(record)
      for (const { id } of record.nodes) before.delete(id)
    }
    this.#take(before)
  }

  #isKnown(id: string): boolean {
    for (const versions of this.#topics.values())
      for (const nodes of versions.values()) if (nodes.has(id)) return true
    return false
  }

  #put({ version, nodes }: ServiceRecord): void {
    for (const node of nodes) {
      this.#leaving.delete(node.id)
      const topic = node.metadata['topic']
      if (topic === undefined || node.metadata['broker'] !== 'http') continue
      const versions: Versions = this.#topics.get(topic) ?? new Map()
      this.#topics.set(topic, versions)
      versions.set(version, (versions.get(version) ?? new Map<string, Node>()).set(node.id, node))
      this.#groups.delete(topic)
    }
  }

  /** In the next turn of the loop: what takes the place of the deleted may be told behind the deletion. */
  #leave({ nodes }: ServiceRecord): void {
    if (this.#leaving.size === 0 && nodes.length > 0) {
      setImmediate(() => {
        this.#take(this.#leaving)
        this.#leaving.clear()
      })
    }
    for (const { id } of nodes) this.#leaving.add(id)
  }

  /** By id alone: a deletion may come without metadata. */
  #take(ids: ReadonlySet<string>): void {
    for (const [topic, versions] of this.#topics) {
      for (const [version, known] of versions) {
        for (const id of ids) if (known.delete(id)) this.#groups.delete(topic)
        if (known.size === 0) versions.delete(version)
      }
      if (versions.size === 0) this.#topics.delete(topic)
    }
    for (const id of ids) this.#gone.delete(id)
  }
}
