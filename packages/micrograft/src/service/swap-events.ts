import { channel } from 'node:diagnostics_channel'
import type { SwapEvent } from '../components/swap-options.js'

const published = channel('micrograft:swap')

/** Tells of the swaps of one service: those who listen, and the channel `micrograft:swap` of `node:diagnostics_channel`. */
export class SwapEvents {
  readonly #service: () => string
  readonly #listeners = new Set<(event: SwapEvent) => void>()

  constructor(service: () => string) {
    this.#service = service
  }

  /** A listener that throws is its owner's bug: it surfaces as uncaught, and the swap goes on. */
  readonly tell = (about: Omit<SwapEvent, 'service'>): void => {
    const event: SwapEvent = { service: this.#service(), ...about }
    if (published.hasSubscribers) published.publish(event)
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
  }

  listen(listener: (event: SwapEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
