import { ServiceError, type Logger, type Node, type Registry } from '@micrograft/contracts'
import type { Tls } from '../transport/tls-options.js'
import { HttpSender } from './http-sender.js'
import { HttpSubscribers, type Group } from './http-subscribers.js'

/** In the metadata of a subscription: what it shares with those that take its place, see `SubscribeOptions`. */
export const identityEntry = 'identity'

/** Where one of a queue fails with this, another may do better. */
const elsewhere: ReadonlySet<string> = new Set(['overloaded', 'timeout', 'unauthenticated'])

/** How often a message is tried for subscriptions that took the place of others. */
const mostTries = 8

/** Brings messages to those who subscribe. */
export class HttpDeliveries implements AsyncDisposable {
  readonly #subscribers: HttpSubscribers
  readonly #sender: HttpSender

  /** @param tls What secure subscribers are posted to with. @default the authorities that Node knows */
  constructor(registry: Registry, tls: Tls | undefined, log: Logger) {
    this.#sender = new HttpSender(tls)
    this.#subscribers = new HttpSubscribers(registry, log)
  }

  /** Resolves when one of each queue, and all without a queue, have taken it. */
  async deliver(topic: string, body: Buffer, signal: AbortSignal | undefined): Promise<void> {
    const groups = this.#subscribers.known(topic) ?? (await this.#subscribers.of(topic, { signal }))
    const gone = await this.#deliver(groups, body, signal)
    if (gone) await this.#deliverInstead(topic, groups, gone, body, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subscribers[Symbol.asyncDispose]()
    this.#sender[Symbol.dispose]()
  }

  /** Gives the subscriptions that were gone, where a group had no other. */
  #deliver(
    groups: readonly Group[],
    body: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<readonly Node[] | undefined> {
    const [only] = groups
    return groups.length === 1 && only
      ? this.#deliverTo(only, body, signal)
      : this.#deliverToAll(groups, body, signal)
  }

  async #deliverToAll(
    groups: readonly Group[],
    body: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<readonly Node[] | undefined> {
    const outcomes = await Promise.allSettled(groups.map((group) => this.#deliverTo(group, body, signal)))
    const gone: Node[] = []
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason as Error
      if (outcome.value) gone.push(...outcome.value)
    }
    return gone.length === 0 ? undefined : gone
  }

  /** To one of the group at random; to another where that one is gone. */
  async #deliverTo(
    { nodes }: Group,
    body: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<readonly Node[] | undefined> {
    const start = nodes.length === 1 ? 0 : Math.floor(Math.random() * nodes.length)
    for (let i = 0; ; i++) {
      try {
        await this.#sender.send(nodes[(start + i) % nodes.length] as Node, body, signal)
        return undefined
      } catch (error) {
        if (signal?.aborted || !(error instanceof ServiceError)) throw error
        const gone = error.code === 'unavailable' || error.code === 'not-found'
        if (i + 1 < nodes.length && (gone || elsewhere.has(error.code))) continue
        if (gone) return nodes
        throw error
      }
    }
  }

  /**
   * A subscription that was gone may have another in its place that this process was not told of yet: a
   * swap makes the new one first. Where there is none, nobody is subscribed.
   */
  async #deliverInstead(
    topic: string,
    first: readonly Group[],
    firstGone: readonly Node[],
    body: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const tried = new Set(first.flatMap(({ nodes }) => nodes.map(({ id }) => id)))
    let groups = first
    let gone: readonly Node[] | undefined = firstGone
    for (let i = 0; gone && i < mostTries; i++) {
      const ids = new Set(gone.map(({ id }) => id))
      const identities = new Set(gone.map(({ metadata }) => metadata[identityEntry]).filter(Boolean))
      const queues = new Set(
        groups.filter(({ nodes }) => nodes.some(({ id }) => ids.has(id))).map(({ queue }) => queue),
      )
      const now = await this.#subscribers.ofAgain(topic, [...ids], { signal })
      groups = now.flatMap(({ queue, nodes }) => {
        const instead = nodes.filter(
          ({ id, metadata }) =>
            !tried.has(id) &&
            (queue === undefined ? identities.has(metadata[identityEntry]) : queues.has(queue)),
        )
        return instead.length === 0 ? [] : [{ queue, nodes: instead }]
      })
      for (const { nodes } of groups) for (const { id } of nodes) tried.add(id)
      gone = await this.#deliver(groups, body, signal)
    }
  }
}
