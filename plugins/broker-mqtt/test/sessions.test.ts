import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { Plugin, type MqttBrokerOptions } from '@micrograft/broker-mqtt'
import type { Broker, BrokerMessage } from '@micrograft/contracts'
import { FaultyLink, mosquitto, unusable, usableServer } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'

const make = Plugin.newFunc as unknown as (
  options: MqttBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

const message = (body: string, header: Record<string, string> = {}): BrokerMessage => ({
  header,
  body: new TextEncoder().encode(body),
})

/** A subscriber's connection, as the server has it. */
interface Peer {
  /** Of this subscriber's session, from 1 on. */
  readonly connection: number
  readonly socket: Socket
  readonly acknowledged: number[]
}

/**
 * A server that knows every session again and does what the test says when somebody subscribes.
 * @param subscribed Gives the code that the subscription is answered with.
 */
async function sessions(subscribed: (peer: Peer) => number) {
  const server = createServer((socket) => {
    let peer: Peer | undefined
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 2 + bytes[at + 1]!) {
        const kind = bytes[at]! >> 4
        if (kind === 1) socket.write(Buffer.from([0x20, 3, 1, 0, 0]))
        if (kind === 3) published.push(socket)
        if (kind === 4) peer?.acknowledged.push(bytes.readUInt16BE(at + 2))
        if (kind === 12) socket.write(Buffer.from([0xd0, 0]))
        if (kind !== 8) continue
        peer ??= { connection: ++connections, socket, acknowledged: [] }
        const code = subscribed(peer)
        socket.write(Buffer.from([0x90, 4, bytes[at + 2]!, bytes[at + 3]!, 0, code]))
      }
    })
  })
  let connections = 0
  const published: Socket[] = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, published, [Symbol.asyncDispose]: async () => void server.close() }
}

/** A message of QoS 1 for the topic `t`. */
function publish({ socket }: Peer, id: number, body: string, dup = false): void {
  const rest = Buffer.concat([Buffer.from([0, 1, 0x74, id >> 8, id & 0xff, 0]), Buffer.from(body)])
  socket.write(Buffer.concat([Buffer.from([dup ? 0x3a : 0x32, rest.length]), rest]))
}

test('hands over what comes under a number that the server took before it forgot the message', async () => {
  let peer: Peer | undefined
  await using server = await sessions((each) => {
    peer = each
    return 1
  })
  await using broker = await make({ addresses: [`127.0.0.1:${server.port}`] }, componentContext())
  const began: string[] = []
  const releases: (() => void)[] = []
  await broker.subscribe(
    't',
    async ({ message: { body } }) => {
      began.push(new TextDecoder().decode(body))
      await new Promise<void>((resolve) => releases.push(resolve))
    },
    { concurrency: 5, onError: () => undefined },
  )
  try {
    publish(peer!, 1, 'known')
    publish(peer!, 2, 'forgotten')
    await until('both are under way', () => began.length === 2)
    peer!.socket.destroy()
    await until('it is back', () => peer?.connection === 2)
    publish(peer!, 1, 'known', true)
    publish(peer!, 2, 'new')
    await until('the new one is handed over', () => began.length === 3)
  } finally {
    for (const release of releases) release()
  }
  await until('both are acknowledged', () => peer?.acknowledged.length === 2)
  assert.deepEqual(began, ['known', 'forgotten', 'new'])
  assert.deepEqual(peer?.acknowledged, [1, 2])
})

test('asks again for a subscription that the server refused when it came back', async () => {
  const codes = [1, 0x87, 0x97, 1]
  let peer: Peer | undefined
  await using server = await sessions((each) => {
    peer = each
    const code = codes.shift() ?? 1
    if (codes.length === 0) setImmediate(() => publish(each, 7, 'again'))
    return code
  })
  await using broker = await make({ addresses: [`127.0.0.1:${server.port}`] }, componentContext())
  const got: string[] = []
  const errors: string[] = []
  await broker.subscribe(
    't',
    async ({ message: { body } }) => void got.push(new TextDecoder().decode(body)),
    {
      onError: (error) => void errors.push((error as { code?: string }).code ?? error.message),
    },
  )
  peer!.socket.destroy()
  await until('it hears again', () => got.length === 1, 10_000)
  assert.deepEqual(got, ['again'])
  assert.deepEqual(errors, ['unavailable', 'forbidden'])
})

test('tells subscribers and publishers why the server ended their connections', async () => {
  const peers: Peer[] = []
  await using server = await sessions((each) => {
    peers.push(each)
    return 1
  })
  await using broker = await make({ addresses: [`127.0.0.1:${server.port}`] }, componentContext())
  const told: string[] = []
  await broker.subscribe('t', async () => undefined, { onError: ({ message: each }) => void told.push(each) })
  const publishing = broker.publish('t', message('1'))
  await until('it is under way', () => server.published.length === 1)
  for (const socket of [peers[0]!.socket, server.published[0]!]) socket.end(Buffer.from([0xe0, 2, 0x98, 0]))
  const reason = /ended the connection: Administrative action/
  await assert.rejects(publishing, { code: 'unavailable', message: reason })
  await until('the subscriber is told', () => told.length === 1)
  assert.match(told[0]!, reason)
})

test('ends what waits for a connection when it is disposed', async () => {
  await using server = await sessions(() => 1)
  await using link = await FaultyLink.to(server.port)
  const broker = await make(
    { addresses: [`127.0.0.1:${link.port}`], publishTimeoutMs: 60_000 },
    componentContext(),
  )
  const publishing = () => broker.publish('t', message('1')).catch(({ code }: { code: string }) => code)
  const underWay = publishing()
  await until('it is under way', () => server.published.length === 1)
  await link[Symbol.asyncDispose]()
  assert.equal(await underWay, 'unavailable')
  const told = publishing()
  await broker[Symbol.asyncDispose]()
  const started = performance.now()
  assert.equal(await told, 'closed')
  assert.ok(performance.now() - started < 1000)
})

test(
  'refuses a header that a server would end the connection over',
  { skip: unusable(mosquitto) ?? false },
  async () => {
    await using server = await usableServer(mosquitto)
    await using broker = await make({ addresses: [server.address] }, componentContext())
    const texts = ['a\0b', 'a\nb', 'a\u007fb', 'a\u0085b', 'a\ufffeb', 'a\u{1ffff}b', 'a\ufdd0b', 'a\ud800b']
    const before = broker.publish('t', message('1'))
    for (const each of texts) {
      await assert.rejects(broker.publish('t', message('', { note: each })), { code: 'bad-request' })
      await assert.rejects(broker.publish('t', message('', { [each]: 'note' })), { code: 'bad-request' })
    }
    await before
    await broker.publish('t', message('', { note: 'grün \u{1f4a1} \u00a0' }))
  },
)

test('refuses numbers that no timer and no packet can have, and addresses that are no list', async () => {
  for (const options of [
    { connectTimeoutMs: 2 ** 31 },
    { publishTimeoutMs: 2 ** 31 },
    { drainMs: 2 ** 31 },
    { keepAliveMs: 65_536_000 },
    { sessionExpiryMs: 2 ** 43 },
    { maxMessageBytes: 268_435_456 },
    { addresses: '127.0.0.1' as never },
    { addresses: [1883] as never },
  ])
    await assert.rejects(
      make(options, componentContext()),
      { code: 'invalid-option' },
      JSON.stringify(options),
    )
})
