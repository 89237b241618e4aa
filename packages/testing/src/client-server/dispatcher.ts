import type { Dispatcher, Metadata, ServerReply, ServerRequest, ServerStream } from '@micrograft/contracts'

export type Unary = (request: ServerRequest, body: Uint8Array) => Promise<ServerReply | Uint8Array>
export type Stream = (request: ServerRequest, stream: ServerStream) => Promise<Metadata | void>

export type Endpoints = {
  readonly [name: `Say.${string}`]: Unary
  readonly [name: `Stream.${string}`]: Stream
} & object

/** A dispatcher of functions: names with `Stream.` are streams. */
export function dispatcher(endpoints: Endpoints): Dispatcher {
  const known = endpoints as Readonly<Record<string, unknown>>
  return {
    kind: (endpoint) =>
      endpoint in known ? (endpoint.startsWith('Stream.') ? 'stream' : 'unary') : undefined,
    async unary(request, body) {
      const reply = await (known[request.endpoint] as Unary)(request, body)
      return 'body' in reply ? reply : { metadata: {}, contentType: request.contentType, body: reply }
    },
    async stream(request, stream) {
      return (await (known[request.endpoint] as Stream)(request, stream)) ?? {}
    },
  }
}

export const echo: Unary = async (_, body) => body

/** The signal's reason, once it has one. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason))
  })
}
