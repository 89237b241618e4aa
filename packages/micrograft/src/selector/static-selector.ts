import {
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type Selection,
  type Selector,
} from '@micrograft/contracts'
import { checkChoice, choiceDefaults, type Choice, type ChoiceOptions } from './choice-options.js'
import type { Candidate } from './node-member.js'
import { NodeSelection } from './node-selection.js'

export interface StaticSelectorOptions extends ChoiceOptions {
  /**
   * Addresses by the name of a service; a list is for every service, as `--selector_address` gives it.
   * @default none: the name of a service is its address
   */
  readonly addresses?: Readonly<Record<string, string | readonly string[]>> | readonly string[] | undefined
  /** Metadata of every node, e.g. the `protocol` that it speaks. @default {} */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

/** Nodes that are where they are: no registry is asked. */
export function staticSelector(
  options: StaticSelectorOptions | undefined,
  _context: ComponentContext,
): Selector {
  const { addresses, metadata, ...choice } = resolveOptions(
    'the options of the static selector',
    { ...choiceDefaults, addresses: undefined, metadata: {} },
    options,
  )
  checkChoice(choice)
  return new StaticSelector(structuredClone(addresses), Object.freeze({ ...metadata }), choice)
}

class StaticSelector implements Selector {
  readonly name = 'static'
  readonly #addresses: StaticSelectorOptions['addresses']
  readonly #metadata: Readonly<Record<string, string>>
  readonly #choice: Choice
  readonly #open = new Set<Selection>()
  #closed = false

  constructor(
    addresses: StaticSelectorOptions['addresses'],
    metadata: Readonly<Record<string, string>>,
    choice: Choice,
  ) {
    this.#addresses = addresses
    this.#metadata = metadata
    this.#choice = choice
  }

  async select(service: string, { signal }: CallOptions = {}): Promise<Selection> {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the static selector is closed; open another')
    const selection = new NodeSelection(service, this.#choice, () => void this.#open.delete(selection))
    selection.reset(this.#addressesOf(service).map((address) => this.#candidate(address)))
    this.#open.add(selection)
    return selection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open].map((each) => each[Symbol.asyncDispose]()))
  }

  #addressesOf(service: string): readonly string[] {
    if (this.#addresses === undefined) return [service]
    if (Array.isArray(this.#addresses)) return this.#addresses as readonly string[]
    const given = this.#addresses as Readonly<Record<string, string | readonly string[]>>
    return Object.hasOwn(given, service) ? [given[service] ?? []].flat() : [service]
  }

  #candidate(address: string): Candidate {
    const node = Object.freeze({ id: address, address, metadata: this.#metadata })
    return { node, version: undefined, endpoints: [] }
  }
}
