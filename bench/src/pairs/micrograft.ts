import {
  createService,
  serverStream,
  type Client,
  type EndpointGroup,
  type Middleware,
  type PluginConfig,
  type Service,
  type ServiceOptions,
} from 'micrograft'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AdapterOptions, Connection, Payload, ServeOptions } from './adapter.js'
import { echoPlugins, idlePlugins } from './echo-plugins.js'
import { payloadOf } from './payloads.js'
import { loadProtobuf } from './protobuf.js'

/** Settings that a variant may have; everything else is as it is by default. */
export interface MicrograftSettings {
  /** Around each call, on either side. @default 0 */
  readonly middleware?: number
  /** Of the service. @default 1 */
  readonly endpoints?: number
  /** In the registry, all at the one address. @default 1 */
  readonly nodes?: number
  /** Whether each node has an address of its own; there is one process behind all of them. @default 0 */
  readonly apart?: number
  /** Calls the client itself, without all that a service does around it: 1 by its slot, 2 without. @default 0 */
  readonly bare?: number
  /** Plugin files that the server has loaded, beside what is built in. @default 0 */
  readonly plugins?: number
  /** How often in a thousand seconds the server's handlers, which are of a plugin file then, are swapped. @default they are in code */
  readonly swaps?: number
}

/** The broker that is a plugin of this project, where a NATS server is named. */
async function brokerOf(nats: string | undefined): Promise<ServiceOptions> {
  if (nats === undefined) return {}
  const index = new URL('../../../plugins/broker-nats/dist/index.js', import.meta.url)
  const { Plugin } = (await import(index.href)) as { readonly Plugin: PluginConfig<'broker'> }
  return { broker: { use: Plugin, options: { addresses: [nats] } } }
}

function layers(count = 0): Middleware[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `layer-${i}`,
    call: (context, next) => next(context),
    handle: (context, next) => next(context),
  }))
}

export async function serve({ message, received, settings, format, nats }: ServeOptions): Promise<string> {
  const { middleware, endpoints = 1, apart, plugins, swaps } = (settings ?? {}) as MicrograftSettings
  const folder = join(tmpdir(), 'plugins')
  const versions = swaps === undefined ? [] : await echoPlugins(folder, ['1.0.0', '2.0.0'])
  const service = createService({
    name: 'echo',
    middleware: layers(middleware),
    plugins: await idlePlugins(folder, plugins ?? 0),
    handlers: versions.slice(0, 1),
    ...(await brokerOf(nats)),
    ...(apart ? { address: '0.0.0.0:0' } : {}),
  })
  const protobuf = format === 'protobuf' ? await loadProtobuf() : undefined
  const group: EndpointGroup = {
    ...(swaps === undefined ? { Echo: (value: Payload) => value } : {}),
    Bytes: (value: Uint8Array) => protobuf?.encode(protobuf.decode(value)),
    Stream: serverStream({
      async *handle() {
        for (let n = message.n; ; n++) yield { ...message, n }
      },
    }),
  }
  const more = Array.from({ length: endpoints - 1 }, (_, i) => [`Echo${i}`, (value: Payload) => value])
  service.handle('Test', { ...Object.fromEntries(more), ...group })
  await service.init([])
  await service.start()
  await service.subscribe('news', received)
  if (swaps) void swapForEver(service, versions, 1_000_000 / swaps)
  return service.address as string
}

/** Each version in turn, one every `everyMs`. */
async function swapForEver(service: Service, versions: readonly string[], everyMs: number): Promise<void> {
  for (let i = 1; ; i++) {
    const next = new Promise((resolve) => setTimeout(resolve, everyMs))
    await service.swap('handler', versions[i % versions.length] as string, { watchMs: 0 })
    await next
  }
}

export async function connect(address: string, options: AdapterOptions): Promise<Connection> {
  const { middleware, nodes = 1, apart, bare = 0 } = (options.settings ?? {}) as MicrograftSettings
  let component: Client | undefined
  const rpc = createService({ name: 'none' }).catalogue.find('client', 'rpc')
  const kept: PluginConfig<'client'> = {
    ...rpc,
    newFunc: async (given, context) => (component = await rpc.newFunc(given, context)),
  }
  const service = createService({
    name: 'caller',
    middleware: layers(middleware),
    ...(await brokerOf(options.nats)),
    ...(bare === 2 ? { client: kept } : {}),
    // The nodes of many processes, in a registry that is this one's alone.
    ...(nodes > 1 || apart ? { registry: 'memory' } : {}),
  })
  await service.init([])
  await service.start()
  if (nodes > 1 || apart) await registerNodes(service, address, nodes, Boolean(apart))
  const { client } = service
  if (bare > 0) {
    const slot = service.use('client')
    // Made when it is first used.
    await client.call('echo', 'Test.Echo', payloadOf(100), { address })
    return { call: callBy(bare === 2 ? (component as Client) : slot, address) }
  }
  const protobuf = options.format === 'protobuf' ? await loadProtobuf() : undefined
  const asProtobuf = { contentType: 'application/protobuf' }
  return {
    call: protobuf
      ? async (value) =>
          protobuf.decode(await client.call('echo', 'Test.Bytes', protobuf.encode(value), asProtobuf))
      : (value) => client.call('echo', 'Test.Echo', value),
    stream: () => client.stream('echo', 'Test.Stream', {}),
    publish: (value) => service.publish('news', value),
  }
}

function callBy(client: Client, address: string): (value: Payload) => Promise<Payload> {
  const node = { id: 'echo', address, metadata: { protocol: 'rpc', transport: 'tcp' } }
  const about = { service: 'echo', endpoint: 'Test.Echo', contentType: 'application/json', metadata: {} }
  return async (value) => {
    const body = Buffer.from(JSON.stringify(value))
    const reply = await client.call(node, { ...about, timeoutMs: 5000, body })
    return JSON.parse(Buffer.from(reply.body).toString()) as Payload
  }
}

async function registerNodes(
  service: Service,
  address: string,
  count: number,
  apart: boolean,
): Promise<void> {
  const port = address.slice(address.lastIndexOf(':') + 1)
  const nodes = Array.from({ length: count }, (_, i) => ({
    id: `echo-${i}`,
    address: apart ? `127.0.${1 + (i >> 7)}.${1 + (i & 127)}:${port}` : address,
    metadata: { protocol: 'rpc', transport: 'tcp' },
  }))
  await service
    .use('registry')
    .register({ name: 'echo', version: 'latest', metadata: {}, endpoints: [], nodes })
}
