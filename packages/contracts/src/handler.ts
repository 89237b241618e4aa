import type { Metadata } from './values.js'

/** What a handler knows of the call that it answers. */
export interface HandlerContext {
  readonly service: string
  readonly endpoint: string
  /** What came with the call. */
  readonly metadata: Metadata
  /** What goes back with the reply; names as in `Metadata`. */
  readonly replyMetadata: Record<string, string>
  /** Aborts when the caller gave up, is gone, or its deadline has passed. */
  readonly signal: AbortSignal
  /** Milliseconds since 1970, or `undefined`. */
  readonly deadline: number | undefined
  readonly remote: string
}

/** The part of Standard Schema v1 that is used: `~standard.validate`, and the types that it carries. */
export interface Schema<I = unknown, O = I> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<O> | Promise<SchemaResult<O>>
    readonly types?: { readonly input: I; readonly output: O } | undefined
  }
}

export type SchemaResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
      }[]
    }

export type StreamKind = 'unary' | 'server' | 'client' | 'two-way'

/** One endpoint with all that is known of it. A plain function stands for a unary one, an async generator function for a server stream. */
export interface EndpointDefinition {
  readonly kind: StreamKind
  /** Checks a request, or each message of a stream, before the handler gets it. */
  readonly input?: Schema | undefined
  readonly output?: Schema | undefined
  /** Not shown by the registry. */
  readonly internal?: boolean | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  readonly handle: (request: never, context: HandlerContext) => unknown
}

/** What a plugin of type `handler` makes: a service's endpoints by type and method. */
export interface HandlerSet extends AsyncDisposable {
  /** The service that it is for. @default the service that it is loaded into */
  readonly service?: string | undefined
  readonly endpoints: Readonly<
    Record<
      string,
      Readonly<Record<string, EndpointDefinition | ((request: never, context: HandlerContext) => unknown)>>
    >
  >
  /** What the next version's `newFunc` gets as `options.state`: plain data that a structured clone can copy. Synchronous. */
  dehydrate?(): unknown
  /**
   * Takes what `dehydrate` of the version before gives, in the turn in which calls come here from
   * there: without it, what that version changed while this one was being made is not seen. It is also
   * called when a newer version gives up, with that one's state. While two versions share calls each
   * has a state of its own, and at the switch that of the version before is given here.
   */
  hydrate?(state: unknown): void
}

/** An endpoint with the types of what is sent to it and what comes back, for a client that is typed by it. */
export interface TypedEndpoint<K extends StreamKind, I, O> extends EndpointDefinition {
  readonly kind: K
  /** Never there: it only carries the types. */
  readonly '~types'?: { readonly input: I; readonly output: O }
}

/** What makes an endpoint, beside its kind. */
export interface EndpointOptions<S, R> {
  /** Checks each request, or each message of a stream. What it gives is what the handler gets. */
  readonly input?: S | undefined
  readonly output?: Schema | undefined
  /** Not shown by the registry. @default false */
  readonly internal?: boolean | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  readonly handle: R
}

type InputOf<S, F> = S extends Schema<infer I, unknown> ? I : F
type OutputOf<S, F> = S extends Schema<infer _I, infer O> ? O : F

/** An endpoint that takes one request and gives one reply. */
export function unary<O, R = unknown, S extends Schema | undefined = undefined>(
  options: EndpointOptions<S, (request: OutputOf<S, R>, context: HandlerContext) => O | Promise<O>>,
): TypedEndpoint<'unary', InputOf<S, R>, O> {
  return { ...options, kind: 'unary', handle: options.handle as never }
}

/** An endpoint that takes one request and gives a stream. */
export function serverStream<O, R = unknown, S extends Schema | undefined = undefined>(
  options: EndpointOptions<S, (request: OutputOf<S, R>, context: HandlerContext) => AsyncIterable<O>>,
): TypedEndpoint<'server', InputOf<S, R>, O> {
  return { ...options, kind: 'server', handle: options.handle as never }
}

/** An endpoint that takes a stream and gives one reply. */
export function clientStream<O, R = unknown, S extends Schema | undefined = undefined>(
  options: EndpointOptions<
    S,
    (requests: AsyncIterable<OutputOf<S, R>>, context: HandlerContext) => O | Promise<O>
  >,
): TypedEndpoint<'client', InputOf<S, R>, O> {
  return { ...options, kind: 'client', handle: options.handle as never }
}

/** An endpoint that takes a stream and gives a stream. */
export function twoWay<O, R = unknown, S extends Schema | undefined = undefined>(
  options: EndpointOptions<
    S,
    (requests: AsyncIterable<OutputOf<S, R>>, context: HandlerContext) => AsyncIterable<O>
  >,
): TypedEndpoint<'two-way', InputOf<S, R>, O> {
  return { ...options, kind: 'two-way', handle: options.handle as never }
}
