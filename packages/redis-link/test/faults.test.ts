import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { RedisOptions } from '@micrograft/redis-link'
import { FaultyLink, missing, redisCommand, redisServer, ServerProcess } from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { LateLink } from './support/late-link.js'
import { ask, codeOf, openLink } from './support/links.js'

const kind = redisServer()
const skip = missing(kind) ?? false
let server: ServerProcess
before(async () => {
  if (skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const slowest = 2500

const open = (options: RedisOptions = {}) =>
  openLink({
    addresses: [`127.0.0.1:${server.port}`],
    commandTimeoutMs: 500,
    connectTimeoutMs: 2000,
    maxReconnectDelayMs: 100,
    ...options,
  })

test('does no write late that has timed out: what is acknowledged after it stays', { skip }, async () => {
  await using late = await LateLink.to(server.port)
  await using link = await open({ addresses: [`127.0.0.1:${late.port}`], commandTimeoutMs: 200 })
  await ask(link, ['SET', 'late', '1'])
  late.held = true
  await assert.rejects(ask(link, ['SET', 'late', '2']), { code: 'timeout' })
  late.held = false
  // On a connection of its own: the one before was silent.
  await ask(link, ['SET', 'late', '3'])
  late.release()
  for (let i = 0; i < 20; i++) assert.equal(await ask(link, ['GET', 'late']), '3')
})

test('has no more commands under way than its limit while the server stands still', { skip }, async () => {
  await using link = await open()
  server.pause()
  try {
    const codes = await Promise.all(Array.from({ length: 12_000 }, () => codeOf(ask(link, ['PING']))))
    assert.equal(codes.filter((each) => each === 'overloaded').length, 2000)
    assert.deepEqual(
      new Set(codes.filter((each) => !['unavailable', 'timeout'].includes(each))),
      new Set(['overloaded']),
    )
  } finally {
    server.resume()
  }
  await until('it goes on', async () => (await codeOf(ask(link, ['PING']))) === 'none')
})

test('ends a command that is aborted with the reason, and goes on', { skip }, async () => {
  await using link = await open({ commandTimeoutMs: 60_000 })
  const controller = new AbortController()
  const reason = new Error('enough')
  server.pause()
  try {
    const asked = ask(link, ['PING'], { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(asked, reason)
  } finally {
    server.resume()
  }
  assert.equal(await ask(link, ['PING']), 'PONG')
})

test(
  'rejects with unauthenticated while the password is wrong, and goes on when it is right again',
  { skip },
  async () => {
    await using faulty = await FaultyLink.to(server.port)
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'on', '>right', '~*', '+@all')
    const addresses = [`127.0.0.1:${faulty.port}`]
    await using link = await open({ addresses, username: 'ben', password: 'right' })
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>changed')
    faulty.reset()
    const code = () => codeOf(ask(link, ['PING']))
    await until('the password is refused', async () => (await code()) === 'unauthenticated')
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>right')
    await until('it goes on', async () => (await code()) === 'none')
  },
)

test(
  'gives a silent server up also where nobody waits for as long as it may be silent',
  { skip },
  async () => {
    await using link = await open()
    server.pause()
    try {
      const end = performance.now() + 5000
      while (link.isConnected) {
        const asked = ask(link, ['PING'], { signal: AbortSignal.timeout(20) })
        await assert.rejects(asked)
        assert.ok(performance.now() < end, 'it is given up')
      }
    } finally {
      server.resume()
    }
    await until('it goes on', async () => (await codeOf(ask(link, ['PING']))) === 'none')
  },
)

test('keeps a new connection that those who waited for it have no time left for', { skip }, async () => {
  await using faulty = await FaultyLink.to(server.port)
  await using link = await open({ addresses: [`127.0.0.1:${faulty.port}`] })
  faulty.delayMs = 40
  const codes: string[] = []
  // One begins every few milliseconds: whenever the connection comes, some have just waited too long.
  const asking = setInterval(
    () => void codeOf(ask(link, ['PING'], { timeoutMs: 200 })).then((code) => codes.push(code)),
    3,
  )
  try {
    faulty.reset()
    await until('they go on', () => codes.slice(-20).filter((code) => code === 'none').length === 20, 10_000)
  } finally {
    clearInterval(asking)
  }
})

test('does not connect again and again to a server that has become a replica', { skip }, async () => {
  await using link = await open({ maxReconnectDelayMs: 2000 })
  const connections = async () => {
    const stats = await redisCommand(server, 'INFO', 'stats')
    return Number(/total_connections_received:(\d+)/.exec(stats)?.[1])
  }
  const write = () => codeOf(ask(link, ['SET', 'k', '1']))
  await redisCommand(server, 'REPLICAOF', '127.0.0.1', '1')
  try {
    const before = await connections()
    const end = performance.now() + 1500
    while (performance.now() < end) assert.equal(await write(), 'unavailable')
    const made = (await connections()) - before
    assert.ok(made < 12, `${made} connections were made`)
  } finally {
    await redisCommand(server, 'REPLICAOF', 'NO', 'ONE')
  }
  await until('it goes on', async () => (await write()) === 'none')
})

test('is disposed at once while the server stands still', { skip }, async () => {
  const link = await open({ commandTimeoutMs: 60_000 })
  server.pause()
  try {
    const waiting = assert.rejects(ask(link, ['PING']), { code: 'closed' })
    await link[Symbol.asyncDispose]()
    await waiting
  } finally {
    server.resume()
  }
})

test('is disposed at once while it connects to a server that stands still', { skip }, async () => {
  await using faulty = await FaultyLink.to(server.port)
  const link = await open({ addresses: [`127.0.0.1:${faulty.port}`], connectTimeoutMs: 60_000 })
  server.pause()
  try {
    faulty.reset()
    await until('the connection is lost', () => faulty.connections === 0)
    await until('it connects again', () => faulty.connections === 1)
    const started = performance.now()
    await link[Symbol.asyncDispose]()
    assert.ok(performance.now() - started < slowest)
  } finally {
    server.resume()
  }
})
