import type { Delivery, DeliveryHandler } from '@micrograft/contracts'

/** How long at least an id is remembered: a copy by the other broker may be that late. */
const keepMs = 10_000
/** Ids that are remembered at most from one turn to the next. */
const maxRemembered = 100_000

/**
 * Handles each message once although two brokers bring it. A copy waits for the first to be handled
 * and ends as that does: acknowledged with it, or delivered again by its own broker. Ids are forgotten
 * after a while, also where one swap follows another.
 */
export class OnceEach implements Disposable {
  #seen: Map<string, Promise<void>> | undefined
  /** What was seen in the turn before. */
  #seenBefore: Map<string, Promise<void>> | undefined
  #turning: NodeJS.Timeout | undefined
  /** Turns since there was more than one broker. */
  #restedTurns = 0

  /** Two brokers bring messages from now on. */
  begin(): void {
    this.#restedTurns = -Infinity
    this.#seen ??= new Map()
    this.#turning ??= setInterval(() => this.#turn(), keepMs).unref()
  }

  /** One broker is left; copies that are late are still known for a while. */
  rest(): void {
    if (this.#seen) this.#restedTurns = 0
  }

  handle(delivery: Delivery, handler: DeliveryHandler): Promise<void> {
    const seen = this.#seen
    const id = delivery.message.header['micro-id']
    if (!seen || id === undefined) return handler(delivery)
    const before = seen.get(id) ?? this.#seenBefore?.get(id)
    if (before) return before
    const handled = handler(delivery)
    seen.set(id, handled)
    // What was not handled may come again.
    handled.catch(() => seen.get(id) === handled && seen.delete(id))
    if (seen.size > maxRemembered) seen.delete(seen.keys().next().value as string)
    return handled
  }

  [Symbol.dispose](): void {
    clearInterval(this.#turning)
    this.#turning = undefined
    this.#seen = undefined
    this.#seenBefore = undefined
  }

  #turn(): void {
    if (++this.#restedTurns >= 2) return this[Symbol.dispose]()
    this.#seenBefore = this.#seen
    this.#seen = new Map()
  }
}
