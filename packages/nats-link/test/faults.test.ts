import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  FaultyLink,
  missing,
  natsServer,
  ServerProcess,
  type NatsServerSettings,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { bytes, codeOf, openLink } from './support/links.js'

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

const quick = (port = server.port) => ({
  addresses: [`127.0.0.1:${port}`],
  user: 'alice',
  password: 'right',
  timeoutMs: 500,
  connectTimeoutMs: 500,
  reconnectDelayMs: 50,
  pingIntervalMs: 200,
})

test('a loss is told once, what waits over it fails, and all is there again after it', options, async () => {
  await using faulty = await FaultyLink.to(server.port)
  await using link = await openLink({ ...quick(faulty.port), timeoutMs: 10_000 })
  const told: string[] = []
  link.onLost(() => void told.push('lost'))
  link.onBack(() => void told.push('back'))
  const heard: string[] = []
  link.subscribe('t', (message) => void heard.push(message.string()))
  link.subscribe('silent', () => undefined)
  await link.flush()
  const calls = [link.request('silent', bytes('?')), link.whileConnected(new Promise(() => undefined))]
  faulty.reset()
  for (const call of calls) await assert.rejects(call, { code: 'unavailable' })
  await until('it is back', () => told.includes('back'))
  assert.deepEqual(told, ['lost', 'back'])
  await link.publish('t', bytes('again'))
  await until('the subscription is there', () => heard.length > 0)
})

test(
  'nothing is kept without limit for a server that stands still, and closing does not wait for it',
  options,
  async () => {
    await using link = await openLink({ ...quick(), maxPendingBytes: 200_000, pingIntervalMs: 60_000 })
    const publish = (size: number) => codeOf(link.publish('t', new Uint8Array(size)))
    server.pause()
    try {
      // A signal is heeded in its own time.
      await until('it stands still', async () => (await publish(1)) !== 'none')
      const codes = await Promise.all(Array.from({ length: 100 }, () => publish(10_000)))
      assert.deepEqual([...new Set(codes)].sort(), ['overloaded', 'timeout'])
      // They lie in the socket still, though nobody waits for them any more.
      assert.equal(await publish(60_000), 'overloaded')
      const started = performance.now()
      await link.close()
      assert.ok(performance.now() - started < 500)
      await assert.rejects(openLink(quick()), { code: 'unavailable' })
    } finally {
      server.resume()
    }
  },
)

test('requests count as what was sent while nobody answers them', options, async () => {
  await using link = await openLink({ ...quick(), maxPendingBytes: 200_000, pingIntervalMs: 60_000 })
  const request = (size: number) => codeOf(link.request('t', new Uint8Array(size)))
  link.subscribe('t', (message) => void message.respond())
  await link.flush()
  server.pause()
  try {
    await until('it stands still', async () => (await request(1)) === 'timeout')
    const codes = await Promise.all(Array.from({ length: 100 }, () => request(10_000)))
    assert.deepEqual([...new Set(codes)].sort(), ['overloaded', 'timeout'])
    assert.equal(await request(60_000), 'overloaded')
  } finally {
    server.resume()
  }
  await until('there is room again', async () => (await request(60_000)) === 'none', 10_000)
})

test('a server that falls silent is given up also while much is on its way to it', options, async () => {
  await using link = await openLink({ ...quick(), pingIntervalMs: 100 })
  const publish = () => codeOf(link.publish('t', new Uint8Array(100_000)))
  await publish()
  server.pause()
  try {
    // More than fits into the buffers of a socket.
    const sent = Array.from({ length: 100 }, publish)
    await until('it is given up', async () => (await publish()) === 'unavailable')
    for (const code of await Promise.all(sent)) assert.ok(['unavailable', 'timeout'].includes(code), code)
  } finally {
    server.resume()
  }
  await until('it goes on', async () => (await publish()) === 'none', 10_000)
})

test('nothing is left open by a link that is closed while it tries to connect again', options, async () => {
  const sockets = () => process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap').length
  await until('those of other tests are gone', () => sockets() === 0)
  await using link = await openLink({ ...quick(), connectTimeoutMs: 60_000, pingIntervalMs: 100 })
  server.pause()
  try {
    await until('it is given up', async () => (await codeOf(link.publish('t', bytes('1')))) === 'unavailable')
    await until('it tries again', () => sockets() === 1)
    await link.close()
    await until('nothing is open', () => sockets() === 0)
  } finally {
    server.resume()
  }
})

test(
  'a wrong password is refused, and one that becomes wrong is tried until it is right again',
  options,
  async () => {
    await assert.rejects(openLink({ ...quick(), password: 'wrong' }), { code: 'unauthenticated' })
    await using link = await openLink(quick())
    const heard: string[] = []
    link.subscribe('t', (message) => void heard.push(message.string()))
    settings.password = 'other'
    try {
      await server.kill()
      await server.start()
      await assert.rejects(link.publish('t', bytes('1')), { code: 'unavailable' })
      // Long enough for the client library to have been refused more often than it would bear by itself.
      const refused = () => (server.log.match(/authentication error/g) ?? []).length
      await until('it was refused a few times', () => refused() > 3, 10_000)
    } finally {
      settings.password = 'right'
      await server.kill()
      await server.start()
    }
    await until('it is back', async () => (await codeOf(link.publish('t', bytes('2')))) === 'none', 10_000)
    await until('so is its subscription', () => heard.includes('2'))
  },
)
