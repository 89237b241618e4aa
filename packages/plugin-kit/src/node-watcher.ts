import type { RegistryEvent, RegistryWatcher } from '@micrograft/contracts'

interface Waiting {
  readonly resolve: (result: IteratorResult<RegistryEvent>) => void
  readonly reject: (error: unknown) => void
}

/**
 * A queue of events about nodes. Events of one node that nobody has read yet become one, so that a
 * reader that never reads costs no more than one event for each node.
 */
export class NodeWatcher implements RegistryWatcher {
  readonly #pending = new Map<string, RegistryEvent>()
  readonly #waiting: Waiting[] = []
  readonly #service: string | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: (watcher: NodeWatcher) => void
  readonly #onAbort = (): void => this.end(this.#signal?.reason)
  #ended = false
  #error: { readonly thrown: unknown } | undefined

  constructor(
    service: string | undefined,
    signal: AbortSignal | undefined,
    onEnd: (watcher: NodeWatcher) => void,
  ) {
    this.#service = service
    this.#signal = signal
    this.#onEnd = onEnd
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Queues an event about one node. */
  tell(event: RegistryEvent): void {
    const { name, nodes } = event.service
    if (this.#ended || (this.#service !== undefined && this.#service !== name)) return
    const key = `${name}\0${nodes[0]?.id}`
    const before = this.#pending.get(key)
    this.#pending.delete(key)
    const joined = before ? join(before, event) : event
    if (joined) this.#pending.set(key, joined)
    if (this.#waiting.length > 0 && this.#pending.size > 0) this.#waiting.shift()?.resolve(this.#take())
  }

  /** Ends it: whoever waits, or asks next, gets `error` where there is one. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#pending.clear()
    const [first, ...others] = this.#waiting.splice(0)
    if (error !== undefined) {
      if (first) first.reject(error)
      else this.#error = { thrown: error }
    } else first?.resolve({ done: true, value: undefined })
    for (const each of others) each.resolve({ done: true, value: undefined })
    this.#onEnd(this)
  }

  async next(): Promise<IteratorResult<RegistryEvent>> {
    if (this.#error) {
      const { thrown } = this.#error
      this.#error = undefined
      throw thrown
    }
    if (this.#ended) return { done: true, value: undefined }
    if (this.#pending.size > 0) return this.#take()
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async return(): Promise<IteratorResult<RegistryEvent>> {
    this.end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  #take(): IteratorResult<RegistryEvent> {
    const [key, value] = this.#pending.entries().next().value as [string, RegistryEvent]
    this.#pending.delete(key)
    return { done: false, value }
  }
}

/** What two events that follow each other are to somebody who saw neither. */
function join(before: RegistryEvent, event: RegistryEvent): RegistryEvent | undefined {
  if (before.type === 'create') return event.type === 'delete' ? undefined : { ...event, type: 'create' }
  if (before.type === 'delete') return { ...event, type: 'update' }
  return event
}
