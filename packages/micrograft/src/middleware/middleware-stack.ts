import { ServiceError, type Middleware } from '@micrograft/contracts'
import type { Candidate } from '../components/generation.js'
import { disposeAll } from '../components/dispose-all.js'
import { Slot } from '../components/slot.js'
import type { SlotReport, SwapEvent } from '../components/swap-options.js'
import { slotted } from './slotted.js'

/** The middleware of a service, the outermost first: given in code, or of plugins, with a slot for each of these. */
export class MiddlewareStack implements AsyncDisposable {
  readonly #tell: (event: Omit<SwapEvent, 'service'>) => void
  readonly #slots = new Map<string, Slot<'middleware'>>()
  readonly #layers: Middleware[] = []

  constructor(tell: (event: Omit<SwapEvent, 'service'>) => void) {
    this.#tell = tell
  }

  get layers(): readonly Middleware[] {
    return this.#layers
  }

  /** Puts one more inside those that are there. */
  async add(given: Middleware | Candidate<Middleware>): Promise<void> {
    if (!('make' in given)) {
      this.#layers.push(given)
      return
    }
    const name = `middleware ${given.name}`
    const slot = new Slot('middleware', { name, tell: this.#tell })
    slot.fill(given, await given.make())
    this.#slots.set(given.name, slot)
    this.#layers.push(slotted(slot))
  }

  /** The slot of the middleware called `name`. @throws `not-found` */
  slot(name: string): Slot<'middleware'> {
    const slot = this.#slots.get(name)
    if (slot) return slot
    const names = [...this.#slots.keys()].join(', ') || 'none'
    throw new ServiceError('not-found', `the service has no middleware ${name} of a plugin; it has ${names}`)
  }

  report(): SlotReport[] {
    return [...this.#slots.values()].map((slot) => slot.report())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll('layers of middleware', [...this.#slots.values()].reverse())
  }
}
