import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Broker } from '@micrograft/contracts'
import type { NatsBrokerOptions } from '@micrograft/broker-nats'
import {
  FaultyLink,
  missing,
  natsServer,
  ServerProcess,
  type NatsServerSettings,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { message, openBroker, text } from './support/nats.js'

const settings: { -readonly [K in keyof NatsServerSettings]: NatsServerSettings[K] } = {
  user: 'alice',
  password: 'right',
}
const kind = natsServer(() => settings)
const reason = missing(kind)
const options = { skip: reason ?? false }
let server: ServerProcess
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const quick = (port = server.port): NatsBrokerOptions => ({
  addresses: [`127.0.0.1:${port}`],
  user: 'alice',
  password: 'right',
  timeoutMs: 700,
  connectTimeoutMs: 700,
  reconnectDelayMs: 50,
  pingIntervalMs: 300,
})
const kept = (port?: number): NatsBrokerOptions => {
  const name = randomUUID()
  const jetstream = { stream: name, ackWaitMs: 1500, backoffMs: [20], maxBytes: 10_000_000 }
  return { ...quick(port), prefix: name, jetstream }
}

/** Publishes numbers one after the other until it is told to end; what was acknowledged is in `acked`. */
function load(broker: Broker): {
  readonly acked: string[]
  readonly codes: Set<string>
  longestMs: number
  end(): Promise<void>
} {
  const over = new AbortController()
  const state = {
    acked: [] as string[],
    codes: new Set<string>(),
    longestMs: 0,
    end: async () => undefined as void,
  }
  const running = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      const started = performance.now()
      try {
        await broker.publish('load', message(String(i)))
        state.acked.push(String(i))
      } catch (error) {
        state.codes.add((error as { code: string }).code)
      }
      state.longestMs = Math.max(state.longestMs, performance.now() - started)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  })()
  state.end = async () => {
    over.abort()
    await running
  }
  return state
}

const faults: Readonly<Record<string, () => Promise<void>>> = {
  'killed and started again': async () => {
    await server.kill()
    await server.start()
  },
  'stopped for longer than a deadline': async () => {
    server.pause()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    server.resume()
  },
}

for (const [name, fault] of Object.entries(faults)) {
  test(`what a queue acknowledged is handled when the server is ${name}`, options, async () => {
    await using broker = await openBroker(kept())
    const got = new Set<string>()
    await broker.subscribe('load', async ({ message: { body } }) => void got.add(text(body)), { queue: 'q' })
    const { acked, codes, end, ...rest } = load(broker)
    await until('some are acknowledged', () => acked.length > 50)
    await fault()
    const before = acked.length
    await until('it goes on', () => acked.length > before + 50, 15_000)
    await end()
    await until('all are handled', () => acked.every((each) => got.has(each)), 15_000)
    for (const code of codes) assert.ok(['unavailable', 'timeout'].includes(code), code)
    assert.ok(rest.longestMs < 2500, `a publish took ${rest.longestMs} ms`)
  })

  test(`a subscription of core NATS comes back when the server is ${name}`, options, async () => {
    await using broker = await openBroker(quick())
    const got: string[] = []
    await broker.subscribe('load', async ({ message: { body } }) => void got.push(text(body)))
    const { acked, codes, end } = load(broker)
    await until('some are there', () => got.length > 20)
    await fault()
    const [sent, seen] = [acked.length, got.length]
    await until('it goes on', () => acked.length > sent + 20 && got.length > seen + 20, 15_000)
    await end()
    for (const code of codes) assert.ok(['unavailable', 'timeout'].includes(code), code)
  })
}

test('connections that are reset or slow lose nothing that a queue acknowledged', options, async () => {
  await using link = await FaultyLink.to(server.port)
  await using broker = await openBroker(kept(link.port))
  const got = new Set<string>()
  await broker.subscribe('load', async ({ message: { body } }) => void got.add(text(body)), { queue: 'q' })
  const { acked, end } = load(broker)
  for (let i = 0; i < 3; i++) {
    const before = acked.length
    await until('it goes on', () => acked.length > before + 20, 15_000)
    link.reset()
  }
  link.delayMs = 100
  const before = acked.length
  await until('it goes on slowly', () => acked.length > before + 5, 15_000)
  link.delayMs = 0
  await end()
  await until('all are handled', () => acked.every((each) => got.has(each)), 15_000)
})

test(
  'a wrong password is refused, and one that becomes wrong is tried until it is right again',
  options,
  async () => {
    await assert.rejects(openBroker({ ...quick(), password: 'wrong' }), { code: 'unauthenticated' })
    await using broker = await openBroker(quick())
    const got: string[] = []
    await broker.subscribe('t', async ({ message: { body } }) => void got.push(text(body)))
    settings.password = 'other'
    try {
      await server.kill()
      await server.start()
      await assert.rejects(broker.publish('t', message('1')), { code: 'unavailable' })
      // Long enough for the client library to have been refused more often than it would bear by itself.
      const refused = () => (server.log.match(/authentication error/g) ?? []).length
      await until('it was refused a few times', () => refused() > 3, 10_000)
    } finally {
      settings.password = 'right'
      await server.kill()
      await server.start()
    }
    const publish = () =>
      broker.publish('t', message('2')).then(
        () => true,
        () => false,
      )
    await until('it is back', publish, 10_000)
    await until('so is its subscription', () => got.includes('2'))
  },
)

test(
  'disposing does not wait for a server that is away, whatever is still to be acknowledged',
  options,
  async () => {
    const { jetstream, ...place } = kept()
    const broker = await openBroker({ ...place, jetstream: { ...(jetstream as object), ackWaitMs: 30_000 } })
    let release = (): void => undefined
    const open = new Promise<void>((resolve) => (release = resolve))
    let begun = false
    const handle = async () => {
      begun = true
      await open
    }
    await broker.subscribe('t', handle, { queue: 'q' })
    await broker.publish('t', message('1'))
    await until('it is begun', () => begun)
    await server.kill()
    try {
      release()
      const started = performance.now()
      await broker[Symbol.asyncDispose]()
      assert.ok(performance.now() - started < 5000)
    } finally {
      await server.start()
    }
  },
)

test('a service does not start where no server answers', options, async () => {
  await server.kill()
  try {
    await assert.rejects(openBroker(quick()), { code: 'unavailable' })
    await assert.rejects(openBroker(kept()), { code: 'unavailable' })
  } finally {
    await server.start()
  }
})
