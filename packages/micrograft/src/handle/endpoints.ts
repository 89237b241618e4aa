import {
  ServiceError,
  type Endpoint,
  type EndpointDefinition,
  type HandlerContext,
} from '@micrograft/contracts'

/** What `handle` takes for one method: an endpoint, or a function that stands for one. */
export type EndpointLike = EndpointDefinition | ((request: never, context: HandlerContext) => unknown)

/** Methods of one type, e.g. `{ Hello: async (request) => … }`. */
export type EndpointGroup = Readonly<Record<string, EndpointLike>>

const namePattern = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const asyncGenerator = Object.getPrototypeOf(async function* () {}) as object

/** An endpoint that a request is handed to. */
export interface ServedEndpoint {
  readonly definition: EndpointDefinition
  /** What it is part of, where that may be replaced: a request enters it when it finds the endpoint, and leaves at its end. */
  readonly of: { enter(): void; leave(): void } | undefined
}

/** Endpoints that may change while the service runs. */
export interface MoreEndpoints {
  find(name: string): ServedEndpoint | undefined
  peek(name: string): EndpointDefinition | undefined
  readonly all: readonly (readonly [string, EndpointDefinition])[]
}

/** The endpoints of one service by `Type.Method`: its own, and those of plugins. */
export class Endpoints {
  readonly #own = new Map<string, ServedEndpoint>()
  #more: MoreEndpoints | undefined

  /** Adds those of plugins, which may change from then on. */
  attach(more: MoreEndpoints): void {
    this.#more = more
  }

  /** @throws `invalid-option` for a name that is none or a method that is neither; `conflict` where it is there already. */
  add(type: string, group: EndpointGroup): void {
    const found = endpointDefinitions(type, group)
    for (const [name] of found) {
      if (this.#own.has(name) || this.#more?.peek(name))
        throw new ServiceError(
          'conflict',
          `the endpoint ${name} is handled already; take the first out, or name this one otherwise`,
        )
    }
    for (const [name, definition] of found) this.#own.set(name, { definition, of: undefined })
  }

  /** What kind of endpoint it is; `undefined` where there is none. */
  kind(name: string): EndpointDefinition['kind'] | undefined {
    return (this.#own.get(name)?.definition ?? this.#more?.peek(name))?.kind
  }

  /** The endpoint for a call that begins now. */
  find(name: string): ServedEndpoint | undefined {
    return this.#own.get(name) ?? this.#more?.find(name)
  }

  /** Whether the service itself handles it. */
  owns(name: string): boolean {
    return this.#own.has(name)
  }

  get names(): readonly string[] {
    return this.#all.map(([name]) => name)
  }

  /** As the registry shows them; internal ones are left out. */
  describe(): readonly Endpoint[] {
    return this.#all
      .filter(([, { internal }]) => internal !== true)
      .map(([name, { kind, metadata }]) => ({
        name,
        metadata: {
          ...metadata,
          ...(kind === 'unary' ? {} : { stream: kind === 'two-way' ? 'true' : kind }),
        },
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get #all(): readonly (readonly [string, EndpointDefinition])[] {
    return [
      ...[...this.#own].map(([name, { definition }]) => [name, definition] as const),
      ...(this.#more?.all ?? []),
    ]
  }
}

/**
 * The methods of a group by `Type.Method`.
 * @throws `invalid-option` for a name that is none, or a method that is neither function nor endpoint.
 */
export function endpointDefinitions(
  type: string,
  group: EndpointGroup,
): (readonly [string, EndpointDefinition])[] {
  if (typeof group !== 'object' || group === null)
    throw new ServiceError('invalid-option', `${type} has no methods; give an object with functions by name`)
  return Object.entries(group).map(([method, each]) => [
    endpointName(type, method),
    toDefinition(type, method, each),
  ])
}

function endpointName(type: string, method: string): string {
  if (!namePattern.test(type) || !namePattern.test(method)) {
    throw new ServiceError(
      'invalid-option',
      `${JSON.stringify(`${type}.${method}`)} cannot name an endpoint; a type and a method are of letters, digits and "_"`,
    )
  }
  return `${type}.${method}`
}

function toDefinition(type: string, method: string, given: EndpointLike): EndpointDefinition {
  if (typeof given === 'function') {
    return { kind: Object.getPrototypeOf(given) === asyncGenerator ? 'server' : 'unary', handle: given }
  }
  if (typeof given?.handle === 'function' && ['unary', 'server', 'client', 'two-way'].includes(given.kind))
    return given
  throw new ServiceError(
    'invalid-option',
    `${type}.${method} is no endpoint; give a function, or what unary, serverStream, clientStream or twoWay makes`,
  )
}
