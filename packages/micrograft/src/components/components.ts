import {
  ServiceError,
  type ComponentType,
  type ComponentTypes,
  type PluginConfig,
  type SharedType,
} from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { ResolvedChoice } from './choice.js'
import { Generation, type ComponentOptions } from './generation.js'
import type { Maker } from './maker.js'
import { disposeAll } from './dispose-all.js'
import { keeperOf, sharingTypes, type Moves } from './keepers.js'
import { makeReference } from './reference.js'
import { Slot } from './slot.js'
import type { SlotReport, SwapEvent, SwapOptions, SwapReport } from './swap-options.js'

export interface ComponentsOptions {
  readonly service: () => string
  readonly catalogue: Catalogue
  readonly maker: Maker
  readonly choices: Readonly<Record<SharedType, ResolvedChoice>>
  readonly tell: (event: Omit<SwapEvent, 'service'>) => void
  readonly moves: Moves
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
  readonly #named = new Map<string, ComponentTypes[SharedType]>()
  readonly #made: Slot<SharedType>[] = []
  readonly #closing = new AbortController()

  constructor(options: ComponentsOptions) {
    this.#options = options
  }

  /** The reference to a component; see `ComponentContext.use`. */
  use<K extends SharedType>(type: K, name?: string): ComponentTypes[K] {
    if (name === undefined) return this.#own(type).slot.reference as ComponentTypes[K]
    const key = `${type} ${name}`
    let reference = this.#named.get(key)
    if (!reference) {
      if (!this.#isOwn(type, name)) this.#options.catalogue.find(type, name)
      const target = () => this.#byName(type, name).slot.reference
      reference = makeReference<SharedType>(type, {
        call: (method, a, b, c) =>
          (target() as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(a, b, c),
        direct: target,
      })
      this.#named.set(key, reference)
    }
    return reference as ComponentTypes[K]
  }

  /** Makes what was asked for and what `needed` names; what it rejects with names the component. */
  async start(needed: readonly SharedType[]): Promise<void> {
    const asked = (Object.keys(this.#options.choices) as SharedType[]).filter(
      (type) => this.#options.choices[type].asked,
    )
    for (const type of new Set([...needed, ...asked])) await this.#own(type).make()
  }

  /** The slot of a type. */
  slot<K extends SharedType>(type: K): Slot<K> {
    return this.#own(type).slot as unknown as Slot<K>
  }

  /** What is in each slot that was used. */
  report(): SlotReport[] {
    return [...this.#slots.values()]
      .filter(({ slot }) => slot.label !== undefined)
      .map(({ slot }) => slot.report())
  }

  /** Makes another component and sends calls to it; see `Slot.swap`. */
  swap(
    type: SharedType,
    config: PluginConfig,
    options: ComponentOptions,
    swapOptions?: SwapOptions,
  ): Promise<SwapReport> {
    return this.#own(type).slot.swap(this.#options.maker.candidate(type, config, options), swapOptions)
  }

  /** Disposes all, and throws what went wrong after all were. */
  async dispose(): Promise<void> {
    this.#closing.abort(new ServiceError('closed', `the service ${this.#options.service()} was stopped`))
    await disposeAll('components', this.#made.reverse())
  }

  #isOwn(type: SharedType, name: string): boolean {
    const current = this.#slots.get(type)?.slot.current
    return name === (current ? current.candidate.name : this.#options.choices[type].name)
  }

  #own(type: SharedType): Entry {
    return this.#entry(type, type, this.#options.choices[type])
  }

  /** The service's own, while it has this name; else one beside it. */
  #byName(type: SharedType, name: string): Entry {
    if (this.#isOwn(type, name)) return this.#own(type)
    return this.#entry(type, `${type} ${name}`, { name, options: {}, asked: true })
  }

  #entry(type: SharedType, key: string, choice: ResolvedChoice): Entry {
    const entry = this.#slots.get(key) ?? this.#newEntry(type, key, choice)
    this.#slots.set(key, entry)
    return entry
  }

  #newEntry(type: SharedType, name: string, choice: ResolvedChoice): Entry {
    const { tell, moves } = this.#options
    let made: Promise<void> | undefined
    const make = () => {
      // What failed may succeed when it is next asked for.
      made ??= this.#fill(slot, choice).catch((error: unknown) => {
        made = undefined
        throw error
      })
      made.catch(() => undefined)
      return made
    }
    const slot: Slot<SharedType> = new Slot<SharedType>(type, {
      name,
      begin: () => void make().catch(() => undefined),
      keeper: keeperOf(type as ComponentType, moves) as never,
      tell,
      shares: sharingTypes.has(type),
    })
    return { slot, make }
  }

  async #fill(slot: Slot<SharedType>, { name, options }: ResolvedChoice): Promise<void> {
    try {
      const { signal } = this.#closing
      signal.throwIfAborted()
      const config = this.#options.catalogue.find(slot.type, name)
      const candidate = this.#options.maker.candidate(slot.type, config, options)
      const component = await candidate.make(signal)
      if (signal.aborted) {
        await new Generation(candidate, component).release().catch(() => undefined)
        throw signal.reason
      }
      slot.fill(candidate, component)
      this.#made.push(slot)
    } catch (error) {
      slot.fail(error)
      throw error
    }
  }
}
