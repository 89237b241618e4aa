import { createService, type Client, type ClientReply, type PluginConfig, type Service } from 'micrograft'
import { childInput, report } from '../child.js'
import type { Payload } from '../pairs/adapter.js'
import { checkEcho, payloadOf } from '../pairs/payloads.js'
import { peerFile } from '../pairs/peer-files.js'

export type LocalVariant =
  | 'function'
  | 'micrograft'
  | 'micrograft async'
  | 'micrograft slot'
  | 'moleculer'
  | 'moleculer async'
  | 'slot'
  | 'component'

export interface LocalInput {
  readonly variant: LocalVariant
  readonly ms: number
  readonly loops: readonly number[]
}

/** Calls per second for each number of loops. */
export type LocalOutput = readonly number[]

type Call = (value: Payload) => unknown

interface LocalConnection {
  readonly call: Call
}

type Echo = (value: Payload) => Payload | Promise<Payload>

const echo: Echo = (value) => value
const echoLater: Echo = async (value) => value

async function micrograft(handle: Echo): Promise<Call> {
  const service = createService({ name: 'echo', registry: 'memory', transport: 'memory', logger: 'noop' })
  service.handle('Test', { Echo: handle })
  return started(service)
}

/** The handler comes from a plugin, and so sits in a slot. */
async function fromPlugin(): Promise<Call> {
  const plugin: PluginConfig<'handler'> = {
    name: 'echo',
    type: 'handler',
    version: '1.0.0',
    newFunc: async () => ({ endpoints: { Test: { Echo: echo } }, async [Symbol.asyncDispose]() {} }),
  }
  return started(
    createService({
      name: 'echo',
      handlers: [plugin],
      registry: 'memory',
      transport: 'memory',
      logger: 'noop',
    }),
  )
}

async function started(service: Service): Promise<Call> {
  await service.init([], {})
  await service.start()
  const { client } = service
  return (value) => client.call('echo', 'Test.Echo', value)
}

async function moleculer(isAsync: boolean): Promise<Call> {
  const { local } = (await import(peerFile('moleculer.mjs').href)) as {
    readonly local: (options: object) => Promise<LocalConnection>
  }
  const { call } = await local({ received: () => undefined, isAsync })
  return call
}

/** A client that has its answer at once: what is left is the slot. */
async function constant(throughSlot: boolean): Promise<Call> {
  const reply = Promise.resolve({ metadata: {}, contentType: '', body: new Uint8Array() } as ClientReply)
  const component: Client = {
    name: 'constant',
    protocol: 'constant',
    call: () => reply,
    stream: () => Promise.reject(new Error('no streams here')),
    async [Symbol.asyncDispose]() {},
  }
  const plugin: PluginConfig<'client'> = {
    name: 'constant',
    type: 'client',
    version: '1.0.0',
    newFunc: async () => component,
  }
  const service = createService({ name: 'caller', registry: 'memory', client: plugin, logger: 'noop' })
  await service.init([], {})
  await service.start()
  const client = throughSlot ? service.use('client') : component
  const node = { id: 'echo', address: '', metadata: {} }
  const request = {
    service: 'echo',
    endpoint: 'Test.Echo',
    contentType: '',
    metadata: {},
    timeoutMs: 5000,
    body: new Uint8Array(),
  }
  await client.call(node, request)
  return async (value) => {
    await client.call(node, request)
    return value
  }
}

const variants: Readonly<Record<LocalVariant, () => Promise<Call>>> = {
  function: async () => async (value) => value,
  micrograft: () => micrograft(echo),
  'micrograft async': () => micrograft(echoLater),
  'micrograft slot': fromPlugin,
  moleculer: () => moleculer(false),
  'moleculer async': () => moleculer(true),
  slot: () => constant(true),
  component: () => constant(false),
}

async function measure(call: Call, loops: number, ms: number): Promise<number> {
  let calls = 0
  const began = performance.now()
  const end = began + ms
  const loop = async () => {
    const own = payloadOf(100)
    while (performance.now() < end) {
      // The clock is read once for so many calls: it would cost as much as some of them.
      for (let i = 0; i < 64; i++) {
        own.n++
        checkEcho(own, (await call(own)) as Payload)
      }
      calls += 64
    }
  }
  await Promise.all(Array.from({ length: loops }, loop))
  return (calls / (performance.now() - began)) * 1000
}

const { variant, ms, loops } = childInput<LocalInput>()
const call = await variants[variant]()
await measure(call, 1, ms)
const rates: number[] = []
for (const count of loops) rates.push(await measure(call, count, ms))
report(rates)
process.exit(0)
