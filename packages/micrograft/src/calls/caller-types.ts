import type {
  CallOptions,
  HandlerContext,
  Metadata,
  SelectOptions,
  TypedEndpoint,
} from '@micrograft/contracts'
import type { Backoff } from './backoff.js'

/** How one call is made. */
export interface RequestOptions extends CallOptions {
  /** Deadline of the whole call, all its attempts together, in milliseconds; 0 has none, and one below has passed. @default 5000; of a stream none */
  readonly timeoutMs?: number | undefined
  /** How often it is tried again on another node, after an error that another try can help. @default 1 */
  readonly retries?: number | undefined
  readonly backoff?: Backoff | undefined
  /** Whether `error` is worth another try. @default its code is `unavailable`, `overloaded` or `timeout` */
  readonly retryIf?: ((error: Error) => boolean) | undefined
  /** Travels with the call. @default none, or the parent's */
  readonly metadata?: Metadata | undefined
  /** The call that this one is made for: its deadline, its signal and its metadata hold for this one too. */
  readonly parent?: HandlerContext | undefined
  /** @default `application/json` */
  readonly contentType?: string | undefined
  /** Which nodes it may go to. @default any */
  readonly select?: Pick<SelectOptions, 'version' | 'labels'> | undefined
  /** This node and no other, e.g. `127.0.0.1:4431`: the registry is not asked. */
  readonly address?: string | undefined
  /** Gets the reply's metadata. */
  readonly onMetadata?: ((metadata: Metadata) => void) | undefined
}

/** The open end of a stream. Disposing it, or leaving the loop over it early, cancels it. */
export interface CallStream<I, O> extends AsyncIterable<O>, AsyncDisposable {
  /** Waits while the peer does not read. */
  send(message: I): Promise<void>
  /** Says that nothing more is sent. */
  end(): Promise<void>
}

type Reply<I, O> = (request: I, options?: RequestOptions) => Promise<Awaited<O>>
type Collect<I, O> = (
  requests: AsyncIterable<I> | Iterable<I>,
  options?: RequestOptions,
) => Promise<Awaited<O>>
type Iterate<I, O> = (request: I, options?: RequestOptions) => AsyncIterable<O>
type Converse<I, O> = (options?: RequestOptions) => CallStream<I, O>

type AnyRequest = (request: never, ...rest: never[]) => unknown

type UnaryCall<E> =
  E extends TypedEndpoint<'unary', infer I, infer O>
    ? Reply<I, O>
    : E extends TypedEndpoint<'client', infer I, infer O>
      ? Collect<I, O>
      : E extends AnyRequest
        ? ReturnType<E> extends AsyncIterable<unknown>
          ? never
          : Reply<RequestOf<E>, ReturnType<E>>
        : never

type StreamCall<E> =
  E extends TypedEndpoint<'server', infer I, infer O>
    ? Iterate<I, O>
    : E extends AnyRequest
      ? ReturnType<E> extends AsyncIterable<infer O>
        ? Iterate<RequestOf<E>, O>
        : never
      : never

type ChannelCall<E> = E extends TypedEndpoint<'two-way', infer I, infer O> ? Converse<I, O> : never

type RequestOf<E extends AnyRequest> = Parameters<E> extends [] ? unknown : Parameters<E>[0]

type Defined<T> = { readonly [M in keyof T as T[M] extends never ? never : M]: T[M] }

/** The endpoints of a service that give one reply, from the groups that its `handle` was given: `{ Say: typeof say }`. */
export type ServiceCalls<S> = {
  readonly [T in keyof S]: Defined<{ readonly [M in keyof S[T]]: UnaryCall<S[T][M]> }>
}

/** Those that take one request and give a stream. */
export type ServiceStreams<S> = {
  readonly [T in keyof S]: Defined<{ readonly [M in keyof S[T]]: StreamCall<S[T][M]> }>
}

/** Those that stream both ways. */
export type ServiceChannels<S> = {
  readonly [T in keyof S]: Defined<{ readonly [M in keyof S[T]]: ChannelCall<S[T][M]> }>
}
