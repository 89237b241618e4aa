import {
  ServiceError,
  type EndpointDefinition,
  type HandlerContext,
  type HandlerSet,
} from '@micrograft/contracts'
import { Generation, type Candidate } from '../components/generation.js'
import { disposeAll } from '../components/dispose-all.js'
import type { Keeper } from '../components/keeper.js'
import { Slot } from '../components/slot.js'
import type { SlotReport, SwapEvent } from '../components/swap-options.js'
import type { Tally } from '../components/tally.js'
import { endpointDefinitions, type ServedEndpoint } from './endpoints.js'

export interface HandlerSetsOptions {
  readonly tell: (event: Omit<SwapEvent, 'service'>) => void
  /** Whether an endpoint is handled already by something else. */
  readonly taken: (endpoint: string) => boolean
  /** The endpoints have changed. */
  readonly changed: () => Promise<void>
}

type Definitions = ReadonlyMap<string, EndpointDefinition>
/** An endpoint of a generation. */
interface Served extends ServedEndpoint {
  readonly of: Generation<HandlerSet>
}

type ServedByName = ReadonlyMap<string, Served>

/** Endpoints that come from plugins of type handler: one slot for each plugin, by its name. */
export class HandlerSets implements AsyncDisposable {
  readonly #options: HandlerSetsOptions
  readonly #slots = new Map<string, Slot<'handler'>>()
  readonly #served = new WeakMap<object, ServedByName>()
  /** What calls go to that no swap concerns: one that has begun shows in the tally of its generation. */
  readonly #found = new Map<string, Served>()

  constructor(options: HandlerSetsOptions) {
    this.#options = options
  }

  /** @throws `conflict` where one of its endpoints is handled already, and what making it fails with. */
  async add(candidate: Candidate<HandlerSet>): Promise<HandlerSet> {
    if (this.#slots.has(candidate.name))
      throw new ServiceError('conflict', `the handlers ${candidate.name} are there already; swap them`)
    const slot: Slot<'handler'> = new Slot<'handler'>('handler', {
      name: `handler ${candidate.name}`,
      keeper: () => this.#keeper(candidate.name),
      tell: this.#options.tell,
      shares: true,
    })
    const set = await candidate.make()
    try {
      this.#check(candidate.name, this.#define(set))
    } catch (error) {
      await new Generation(candidate, set).release().catch(() => undefined)
      throw error
    }
    slot.fill(candidate, set)
    this.#slots.set(candidate.name, slot)
    return set
  }

  /** The slot of the handlers called `name`; without one, the only one there is. */
  slot(name?: string): Slot<'handler'> {
    const only = this.#slots.size === 1 ? [...this.#slots.values()][0] : undefined
    const slot = name === undefined ? only : (this.#slots.get(name) ?? undefined)
    if (slot) return slot
    const names = [...this.#slots.keys()].join(', ') || 'none'
    throw new ServiceError(
      'not-found',
      `there are no handlers ${name === undefined ? 'to choose without a name' : name}; there are ${names}`,
    )
  }

  has(name: string): boolean {
    return this.#slots.has(name)
  }

  /** The endpoint for a call that begins now: where two versions share calls, that of the one whose turn it is. */
  find(endpoint: string): ServedEndpoint | undefined {
    const served = this.#found.get(endpoint)
    return served && !served.of.tally ? served : this.#search(endpoint)
  }

  #search(endpoint: string): ServedEndpoint | undefined {
    for (const slot of this.#slots.values()) {
      const any = this.#anyOf(slot, endpoint)
      // Those that two versions share are counted out one by one: calls of others are none of theirs.
      if (!any) continue
      const served = this.#of(slot.pick()).get(endpoint) ?? any
      const { tally } = served.of
      if (tally) return watched(served, tally)
      if (slot.only === served.of) this.#found.set(endpoint, served)
      return served
    }
    return undefined
  }

  /** As `find`, for no call. */
  peek(endpoint: string): EndpointDefinition | undefined {
    for (const slot of this.#slots.values()) {
      const found = this.#anyOf(slot, endpoint)
      if (found) return found.definition
    }
    return undefined
  }

  /** Every endpoint with its definition, of what calls go to. */
  get all(): readonly (readonly [string, EndpointDefinition])[] {
    const all: (readonly [string, EndpointDefinition])[] = []
    for (const { current } of this.#slots.values())
      if (current) for (const [name, { definition }] of this.#of(current)) all.push([name, definition])
    return all
  }

  /** Version of the plugin that the first handlers come from. */
  get version(): string | undefined {
    const first = [...this.#slots.values()][0]?.current?.candidate
    return first?.label.slice(first.name.length + 1)
  }

  report(): SlotReport[] {
    return [...this.#slots.values()].map((slot) => slot.report())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const slots = [...this.#slots.values()].reverse()
    try {
      await disposeAll('handlers', slots)
    } finally {
      this.#slots.clear()
      this.#found.clear()
    }
  }

  #anyOf(slot: Slot<'handler'>, endpoint: string): Served | undefined {
    for (const generation of slot.serving) {
      const found = this.#of(generation).get(endpoint)
      if (found) return found
    }
    return undefined
  }

  #of(generation: Generation<HandlerSet>): ServedByName {
    let served = this.#served.get(generation)
    if (!served) {
      const definitions = this.#define(generation.component)
      served = new Map([...definitions].map(([name, definition]) => [name, { definition, of: generation }]))
      this.#served.set(generation, served)
    }
    return served
  }

  #define(set: HandlerSet): Definitions {
    return new Map(Object.entries(set.endpoints).flatMap(([type, group]) => endpointDefinitions(type, group)))
  }

  #check(name: string, definitions: Definitions): void {
    for (const endpoint of definitions.keys()) {
      const other = [...this.#slots].find(
        ([own, { current }]) => own !== name && current && this.#of(current).has(endpoint),
      )
      if (other || this.#options.taken(endpoint))
        throw new ServiceError(
          'conflict',
          `the handlers ${name} have an endpoint ${endpoint}, which ${other ? `the handlers ${other[0]} have` : 'the service handles'} already`,
        )
    }
  }

  /** State goes over in the turn of the switch, so that nothing that the old version does synchronously is left behind. */
  #keeper(name: string): Keeper<HandlerSet> {
    return {
      methods: {},
      prepare: async (next) => this.#check(name, this.#define(next.component)),
      switched: (next, old) => {
        this.#found.clear()
        if (next.component.hydrate && old.component.dehydrate)
          next.component.hydrate(stateOf(old.component, old.label).state)
      },
      settled: () => this.#options.changed(),
      // Nothing of a version that goes is to be held here.
      release: async () => this.#found.clear(),
    }
  }
}

/**
 * What a new version is given of the state of the one before.
 * @throws `invalid-option` where that is no plain data.
 */
export function stateOf(set: HandlerSet, label = 'the handlers'): { readonly state?: unknown } {
  if (!set.dehydrate) return {}
  try {
    return { state: structuredClone(set.dehydrate()) }
  } catch (cause) {
    throw new ServiceError(
      'invalid-option',
      `the state of ${label} cannot be handed over: ${(cause as Error).message}`,
      { cause },
    )
  }
}

/** As `served`, with how its calls end counted. */
function watched({ definition, of }: Served, tally: Tally): ServedEndpoint {
  if (definition.kind !== 'unary' && definition.kind !== 'client') return { definition, of }
  const handle = (request: never, context: HandlerContext) => {
    const result = (async () => definition.handle(request, context))()
    of.watch(result, tally)
    return result
  }
  return { definition: { ...definition, handle }, of }
}
