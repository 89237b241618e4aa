import {
  ServiceError,
  type ComponentContext,
  type ComponentTypes,
  type Logger,
  type SharedType,
} from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import { silentLogger } from '../logger/noop-logger.js'
import type { ResolvedChoice } from './choice.js'
import { requireComponent } from './contract-shapes.js'
import { Slot, type SwapOptions, type SwapReport } from './slot.js'

export interface ComponentsOptions {
  readonly service: string
  readonly catalogue: Catalogue
  readonly choices: Readonly<Record<SharedType, ResolvedChoice>>
  /** Longest wait for one component to be made, in milliseconds. */
  readonly makeTimeoutMs: number
}

interface Entry {
  readonly slot: Slot<SharedType>
  /** Makes the component, once. */
  readonly make: () => Promise<void>
}

/**
 * The components of one service, one slot each. A component is made when it is first used, or at the
 * start where it was asked for; they are disposed in the reverse of the order in which they were made.
 */
export class Components {
  readonly #options: ComponentsOptions
  readonly #slots = new Map<string, Entry>()
  readonly #made: Slot<SharedType>[] = []
  #closed = false

  constructor(options: ComponentsOptions) {
    this.#options = options
  }

  /** The reference to a component; see `ComponentContext.use`. */
  use<K extends SharedType>(type: K, name?: string): ComponentTypes[K] {
    return this.#entry(type, name).slot.reference as ComponentTypes[K]
  }

  /** Makes what was asked for and what `needed` names; what it rejects with names the component. */
  async start(needed: readonly SharedType[]): Promise<void> {
    const asked = (Object.keys(this.#options.choices) as SharedType[]).filter(
      (type) => this.#options.choices[type].asked,
    )
    for (const type of new Set([...needed, ...asked])) await this.#entry(type).make()
  }

  /** What sits in the slot of `type`, once it was used. */
  label(type: SharedType): string | undefined {
    return this.#slots.get(type)?.slot.label
  }

  /**
   * Makes another component and sends calls to it; see `Slot.swap`. Nothing has changed where this rejects.
   * @throws `not-found`, and what `newFunc` throws.
   */
  async swap(
    type: SharedType,
    name: string,
    options: object = {},
    swapOptions?: SwapOptions,
  ): Promise<SwapReport> {
    const { slot, make } = this.#entry(type)
    await make()
    const { component, label } = await this.#make(type, { name, options: { ...options }, asked: true })
    return slot.swap(component, label, swapOptions)
  }

  /** Disposes all, and throws what went wrong after all were. */
  async dispose(): Promise<void> {
    this.#closed = true
    const errors: unknown[] = []
    for (const slot of this.#made.reverse()) {
      await slot[Symbol.asyncDispose]().catch((error: unknown) => errors.push(error))
    }
    if (errors.length > 0)
      throw new AggregateError(
        errors,
        `${errors.length} components of ${this.#options.service} failed to close`,
      )
  }

  #entry(type: SharedType, name?: string): Entry {
    const choice = this.#options.choices[type]
    const other = name !== undefined && name !== choice.name
    const key = other ? `${type} ${name}` : type
    let entry = this.#slots.get(key)
    if (!entry) {
      if (other) this.#options.catalogue.find(type, name)
      entry = this.#newEntry(type, other ? { name, options: {}, asked: true } : choice)
      this.#slots.set(key, entry)
    }
    return entry
  }

  #newEntry(type: SharedType, choice: ResolvedChoice): Entry {
    let made: Promise<void> | undefined
    const make = () => {
      made ??= this.#fill(slot, choice)
      made.catch(() => undefined)
      return made
    }
    const slot = new Slot<SharedType>(type, () => void make().catch(() => undefined))
    return { slot, make }
  }

  async #fill(slot: Slot<SharedType>, choice: ResolvedChoice): Promise<void> {
    try {
      if (this.#closed) throw new ServiceError('closed', `the service ${this.#options.service} was stopped`)
      const { component, label } = await this.#make(slot.type, choice)
      slot.fill(component, label)
      this.#made.push(slot)
    } catch (error) {
      slot.fail(error)
      throw error
    }
  }

  async #make(
    type: SharedType,
    { name, options }: ResolvedChoice,
  ): Promise<{ component: ComponentTypes[SharedType]; label: string }> {
    const config = this.#options.catalogue.find(type, name)
    const label = `${type} ${name} ${config.version}`
    const controller = new AbortController()
    const timer = setTimeout(
      () =>
        controller.abort(
          new ServiceError('timeout', `${label} was not made within ${this.#options.makeTimeoutMs} ms`),
        ),
      this.#options.makeTimeoutMs,
    )
    try {
      const context: ComponentContext = {
        service: this.#options.service,
        log: this.#log(type, name),
        signal: controller.signal,
        use: (other, otherName) => this.use(other, otherName),
      }
      const made = (config.newFunc as (options: unknown, context: ComponentContext) => unknown)(
        options,
        context,
      )
      const component = requireComponent(type, await aborted(made, controller.signal), label)
      return { component, label: `${name} ${config.version}` }
    } catch (error) {
      if (error instanceof ServiceError) throw error
      throw new ServiceError(
        'invalid-option',
        `cannot make ${label}: ${(error as Error | undefined)?.message ?? String(error)}`,
        { cause: error },
      )
    } finally {
      clearTimeout(timer)
    }
  }

  #log(type: SharedType, name: string): Logger {
    // The logger itself is made without one: what it has to say goes nowhere.
    return type === 'logger' ? silentLogger : this.use('logger').child({ component: `${type} ${name}` })
  }
}

/** `made`, or the signal's reason where that comes first. */
function aborted(made: unknown, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    Promise.resolve(made).then(resolve, reject)
  })
}
