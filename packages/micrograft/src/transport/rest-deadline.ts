import { timerMs } from '@micrograft/contracts'
import type { Framer } from './framing.js'

export interface RestDeadlineOptions {
  readonly framer: Pick<Framer, 'unfinished' | 'received'>
  readonly timeoutMs: number
  /** Whether nothing more is taken of the peer. */
  readonly isOver: () => boolean
  /** Whether the peer is not read: then it is not its fault. */
  readonly isPaused: () => boolean
  readonly late: () => void
}

/** Tells where a message that has begun is not whole in time. One timer serves all messages of a connection. */
export class RestDeadline {
  readonly #options: RestDeadlineOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: RestDeadlineOptions) {
    this.#options = options
  }

  /** A message is not whole yet. */
  expect(): void {
    if (this.#timer) return
    const { framer, timeoutMs, isOver, isPaused, late } = this.#options
    const began = framer.received
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (isOver() || !framer.unfinished) return
      if (framer.received !== began || isPaused()) this.expect()
      else late()
    }, timerMs(timeoutMs)).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
