import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Connection, Transport } from '@micrograft/contracts'
import {
  FaultyLink,
  missing,
  natsServer,
  ServerProcess,
  type NatsServerSettings,
} from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { door, echo, End, message, openTransport } from './support/nats.js'

const settings: { -readonly [K in keyof NatsServerSettings]: NatsServerSettings[K] } = {
  user: 'alice',
  password: 'right',
  jetstream: false,
}
const kind = natsServer(() => settings)
const reason = missing(kind)
const options = { skip: reason ?? false }
let server: ServerProcess
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const place = (port = server.port) => ({
  addresses: [`127.0.0.1:${port}`],
  user: 'alice',
  password: 'right',
  timeoutMs: 500,
  connectTimeoutMs: 500,
  reconnectDelayMs: 50,
  pingIntervalMs: 200,
  keepAliveMs: 200,
})

async function redial(transport: Transport, address: string, end: End): Promise<Connection> {
  let connection: Connection | undefined
  const dial = async () => {
    const started = performance.now()
    connection = await transport.dial(address, end, { timeoutMs: 1000 }).catch((error: { code: string }) => {
      assert.ok(['unavailable', 'timeout'].includes(error.code), error.code)
      return undefined
    })
    assert.ok(performance.now() - started < 2000, 'a dial ends within its deadline')
    return connection
  }
  await until('it can be dialled again', dial, 15_000)
  return connection as Connection
}

const faults: Readonly<Record<string, () => Promise<void>>> = {
  'killed and started again': async () => {
    await server.kill()
    await server.start()
  },
  'stopped for longer than a deadline': async () => {
    server.pause()
    await pause(2000)
    server.resume()
  },
}

for (const [name, fault] of Object.entries(faults)) {
  test(`connections end, and listeners come back, when the server is ${name}`, options, async () => {
    await using near = await openTransport(place())
    await using far = await openTransport(place())
    const { address } = await far.listen('', echo)
    const end = new End()
    const connection = await near.dial(address, end)
    let sent = 0
    const load = setInterval(() => {
      try {
        connection.send(message(String(sent)))
        sent++
      } catch {
        clearInterval(load)
      }
    }, 1)
    await until('some are back', () => end.messages.length > 50)
    await fault()
    await until('the connection has ended', () => end.ended, 10_000)
    clearInterval(load)
    assert.equal(end.error?.code, 'unavailable')
    // In order and without a gap, until the end.
    assert.deepEqual(
      end.texts,
      Array.from(end.texts, (_, i) => String(i)),
    )
    const again = new End()
    const other = await redial(near, address, again)
    other.send(message('again'))
    await until('it is answered', () => again.messages.length === 1)
  })
}

test(
  'a reset ends the connections of that peer on both sides, and a slow network only delays them',
  options,
  async () => {
    await using link = await FaultyLink.to(server.port)
    await using near = await openTransport(place(link.port))
    await using far = await openTransport(place())
    const { address, ends } = await door(far)
    const end = new End()
    await near.dial(address, end)
    await until('it is there', () => ends.length === 1)
    link.reset()
    await until('both know', () => end.ended && ends[0]?.ended, 10_000)
    assert.deepEqual([end.error?.code, ends[0]?.error?.code], ['unavailable', 'unavailable'])
    link.delayMs = 40
    const again = new End()
    const connection = await redial(near, address, again)
    for (let i = 0; i < 20; i++) connection.send(message(String(i)))
    await until('all have come', () => ends.at(-1)?.messages.length === 20, 10_000)
    await connection.close()
    assert.equal(again.error, undefined)
  },
)

test(
  'nothing is kept without limit for a server that stands still, and disposing does not wait for it',
  options,
  async () => {
    const limits = { maxQueuedBytes: 300_000, maxMessageBytes: 100_000 }
    await using transport = await openTransport({
      ...place(),
      ...limits,
      pingIntervalMs: 60_000,
      keepAliveMs: 60_000,
    })
    const { address } = await transport.listen('', echo)
    const end = new End()
    const connection = await transport.dial(address, end)
    server.pause()
    try {
      let sent = 0
      assert.throws(
        () => {
          for (; sent < 1000; sent++) connection.send(message('x'.repeat(50_000)))
        },
        { code: 'closed' },
      )
      assert.ok(sent < 40)
      await until('the end is told', () => end.ended)
      assert.equal(end.error?.code, 'overloaded')
      await assert.rejects(
        transport.dial(address, new End(), { timeoutMs: 300 }),
        (error: { code: string }) => ['unavailable', 'timeout'].includes(error.code),
      )
      const started = performance.now()
      await transport[Symbol.asyncDispose]()
      assert.ok(performance.now() - started < 1500)
    } finally {
      server.resume()
    }
  },
)

test(
  'a wrong password is refused, and one that becomes wrong is tried until it is right again',
  options,
  async () => {
    await assert.rejects(openTransport({ ...place(), password: 'wrong' }), { code: 'unauthenticated' })
    await using transport = await openTransport(place())
    const { address } = await transport.listen('', echo)
    settings.password = 'other'
    try {
      await server.kill()
      await server.start()
      await until(
        'it was refused a few times',
        () => (server.log.match(/authentication error/g) ?? []).length > 3,
        10_000,
      )
      await assert.rejects(transport.dial(address, new End()), { code: 'unavailable' })
    } finally {
      settings.password = 'right'
      await server.kill()
      await server.start()
    }
    const end = new End()
    const connection = await redial(transport, address, end)
    connection.send(message('back'))
    await until('it is answered', () => end.messages.length === 1)
  },
)

test('a server that takes very small messages alone gets them in as many parts', options, async () => {
  await using small = await ServerProcess.start(
    natsServer(() => ({ jetstream: false, maxPayloadBytes: 1000 })),
  )
  await using transport = await openTransport({ addresses: [`127.0.0.1:${small.port}`] })
  const { address } = await transport.listen('', echo)
  const end = new End()
  const connection = await transport.dial(address, end)
  connection.send(message('x'.repeat(10_000)))
  await until('it is back', () => end.messages.length === 1)
  assert.equal(end.texts[0]?.length, 10_000)
})
