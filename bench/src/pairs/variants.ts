import { peerFile } from './peer-files.js'

/** One of those that are compared. */
export interface Variant {
  readonly label: string
  /** In file names and results. */
  readonly key: string
  readonly adapter: URL | { readonly go: 'mucp' | 'grpc' }
  readonly settings?: Readonly<Record<string, number>> | undefined
  readonly format?: 'json' | 'protobuf' | undefined
  readonly nats?: boolean | undefined
  /** Whether it is a framework, and not a measure of what there is to gain. */
  readonly framework?: boolean | undefined
}

const own = (name: string) => new URL(name, import.meta.url)

export const micrograft: Variant = { key: 'micrograft', label: 'micrograft', adapter: own('micrograft.js') }
export const micrograftNats: Variant = {
  key: 'micrograft-nats',
  label: 'micrograft, NATS',
  adapter: own('micrograft.js'),
  nats: true,
}
export const net: Variant = {
  key: 'net',
  label: '`node:net`, a write for each message',
  adapter: own('net-plain.js'),
}
export const joined: Variant = {
  key: 'joined',
  label: '`node:net`, the writes of a tick joined',
  adapter: own('net-joined.js'),
}

const peer = (key: string, label: string, more: Partial<Variant> = {}): Variant => ({
  key,
  label,
  adapter: peerFile(`${key}.mjs`),
  framework: true,
  ...more,
})

export const nest: Variant = peer('nest', 'NestJS, TCP')
export const moleculerTcp: Variant = peer('moleculer-tcp', 'Moleculer, TCP')
export const moleculerNats: Variant = peer('moleculer-nats', 'Moleculer, NATS', { nats: true })
export const fastify: Variant = peer('fastify', 'Fastify and undici')
export const grpc: Variant = peer('grpc', 'grpc-js')
export const connectHttp1: Variant = peer('connect-http1', 'Connect, HTTP/1.1')
export const connectHttp2: Variant = peer('connect-http2', 'Connect, HTTP/2')
export const goMucp: Variant = {
  key: 'go-mucp',
  label: 'go-micro, mucp',
  adapter: { go: 'mucp' },
  framework: true,
}
export const goGrpc: Variant = {
  key: 'go-grpc',
  label: 'go-micro, grpc',
  adapter: { go: 'grpc' },
  framework: true,
}
