import type { Delivery, DeliveryHandler } from '@micrograft/contracts'

/** How long after two brokers overlapped a copy may still come, and how many ids are remembered. */
const restMs = 30_000
const maxRemembered = 100_000

/**
 * Handles each message once although two brokers bring it. A copy waits for the first to be handled
 * and ends as that does: acknowledged with it, or delivered again by its own broker.
 */
export class OnceEach implements Disposable {
  #seen: Map<string, Promise<void>> | undefined
  #resting: NodeJS.Timeout | undefined

  /** Two brokers bring messages from now on. */
  begin(): void {
    clearTimeout(this.#resting)
    this.#resting = undefined
    this.#seen ??= new Map()
  }

  /** One broker is left; copies that are late are still known for a while. */
  rest(): void {
    if (!this.#seen || this.#resting) return
    this.#resting = setTimeout(() => this[Symbol.dispose](), restMs).unref()
  }

  handle(delivery: Delivery, handler: DeliveryHandler): Promise<void> {
    const seen = this.#seen
    const id = delivery.message.header['micro-id']
    if (!seen || id === undefined) return handler(delivery)
    const before = seen.get(id)
    if (before) return before
    const handled = handler(delivery)
    seen.set(id, handled)
    // What was not handled may come again.
    handled.catch(() => seen.get(id) === handled && seen.delete(id))
    if (seen.size > maxRemembered) seen.delete(seen.keys().next().value as string)
    return handled
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#resting)
    this.#resting = undefined
    this.#seen = undefined
  }
}
