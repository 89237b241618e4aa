import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Broker } from '@micrograft/contracts'
import { FaultyLink, missing, redisCommand, redisServer, ServerProcess } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { bodyOf, message, openBroker } from './support/brokers.js'

const kind = redisServer()
const skip = missing(kind) ?? false
let server: ServerProcess
before(async () => {
  if (skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

let prefixes = 0
const newPrefix = () => `faults-${prefixes++}:`
const open = (prefix: string, options?: object): Promise<Broker> => openBroker(server, prefix, options)
const slowest = 2500

/** Publishes until it is stopped, and knows what was acknowledged. */
function load(broker: Broker) {
  const acknowledged: string[] = []
  const failed: string[] = []
  let longestMs = 0
  const stop = new AbortController()
  const work = async (worker: number) => {
    for (let round = 0; !stop.signal.aborted; round++) {
      const body = `${worker}-${round}`
      const started = performance.now()
      try {
        await broker.publish('t', message(body))
        acknowledged.push(body)
      } catch (error) {
        failed.push((error as { code: string }).code)
      }
      longestMs = Math.max(longestMs, performance.now() - started)
      await pause(1)
    }
  }
  const workers = Array.from({ length: 4 }, (_, worker) => work(worker))
  return {
    acknowledged,
    failed,
    async stop() {
      stop.abort()
      await Promise.all(workers)
      for (const code of failed) assert.ok(['unavailable', 'timeout'].includes(code), code)
      assert.ok(longestMs < slowest, `a call took ${longestMs} ms`)
    },
  }
}

/** Two consumers of one queue and one without, each with a broker of its own. */
async function consumers(prefix: string, options?: object) {
  const queue = new Map<string, number>()
  const all = new Map<string, number>()
  const errors: Error[] = []
  const brokers = [await open(prefix, options), await open(prefix, options)]
  const count = (into: Map<string, number>) => async (delivery: Parameters<typeof bodyOf>[0]) => {
    const body = bodyOf(delivery)
    into.set(body, (into.get(body) ?? 0) + 1)
  }
  const onError = (error: Error) => errors.push(error)
  for (const broker of brokers)
    await broker.subscribe('t', count(queue), { queue: 'q', concurrency: 4, onError })
  await (brokers[0] as Broker).subscribe('t', count(all), { onError })
  return {
    queue,
    all,
    errors,
    async [Symbol.asyncDispose]() {
      await Promise.all(brokers.map((broker) => broker[Symbol.asyncDispose]()))
    },
  }
}

type Consumers = Awaited<ReturnType<typeof consumers>>

async function goesOn(
  running: ReturnType<typeof load>,
  { queue, all }: Consumers,
  more = 100,
): Promise<void> {
  const next = running.acknowledged.length
  await until('messages are published', () => running.acknowledged.length >= next + more, 10_000)
  const last = running.acknowledged[next] as string
  await until('and delivered', () => queue.has(last) && all.has(last), 10_000)
}

/** All that was acknowledged was delivered; what was delivered more than once is given back. */
async function verify(running: ReturnType<typeof load>, { queue, all }: Consumers): Promise<string[]> {
  await running.stop()
  await until(
    'all that was acknowledged is delivered',
    () => running.acknowledged.every((each) => queue.has(each) && all.has(each)),
    10_000,
  ).catch((error: Error) => {
    const lost = running.acknowledged.filter((each) => !queue.has(each) || !all.has(each))
    throw new Error(
      `${error.message}: ${lost.length} of ${running.acknowledged.length}, ${lost.slice(0, 5).join()}`,
    )
  })
  return running.acknowledged.filter((each) => queue.get(each) !== 1 || all.get(each) !== 1)
}

test(
  'delivers what was acknowledged over a kill of the server, and goes on by itself',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    await using to = await consumers(prefix)
    const running = load(publisher)
    await goesOn(running, to)
    await server.kill()
    await until('calls fail', () => running.failed.length > 0)
    await server.start()
    await goesOn(running, to)
    assert.deepEqual(await verify(running, to), [])
    assert.ok(
      to.errors.every((error) =>
        ['unavailable', 'timeout'].includes((error as { code?: string }).code ?? ''),
      ),
    )
  },
)

test(
  'rejects in time while the server stands still, and delivers all of the rest once',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    await using to = await consumers(prefix)
    const running = load(publisher)
    await goesOn(running, to)
    server.pause()
    await until('calls fail', () => running.failed.length >= 12, 10_000)
    server.resume()
    await goesOn(running, to)
    assert.deepEqual(await verify(running, to), [])
  },
)

test('delivers all once while connections are reset and slow', { skip }, async () => {
  await using link = await FaultyLink.to(server.port)
  const prefix = newPrefix()
  const addresses = [`127.0.0.1:${link.port}`]
  await using publisher = await open(prefix)
  await using to = await consumers(prefix, { addresses })
  const running = load(publisher)
  for (let i = 0; i < 6; i++) {
    await goesOn(running, to, 50)
    link.reset()
  }
  link.delayMs = 30
  await goesOn(running, to)
  link.delayMs = 0
  assert.deepEqual(await verify(running, to), [])
  assert.deepEqual(running.failed, [])
})

test(
  'a subscription goes on where the server has lost all, with what was published since',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    await using to = await consumers(prefix)
    await publisher.publish('t', message('before'))
    await until('it is delivered', () => to.queue.has('before') && to.all.has('before'))
    await redisCommand(server, 'FLUSHALL')
    await publisher.publish('t', message('after'))
    await until('it is delivered', () => to.queue.has('after') && to.all.has('after'))
    assert.deepEqual(
      [...to.queue],
      [
        ['before', 1],
        ['after', 1],
      ],
    )
  },
)

test(
  'rejects with unauthenticated while the password is wrong, and goes on when it is right again',
  { skip },
  async () => {
    await using link = await FaultyLink.to(server.port)
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'on', '>right', '~*', '&*', '+@all')
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    const login = { addresses: [`127.0.0.1:${link.port}`], username: 'ben', password: 'right' }
    await using to = await consumers(prefix, login)
    await using broker = await open(prefix, login)
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>changed')
    link.reset()
    const code = () =>
      broker
        .publish('t', message('x'))
        .then(() => 'none')
        .catch((error: { code: string }) => error.code)
    await until('the password is refused', async () => (await code()) === 'unauthenticated')
    await publisher.publish('t', message('meanwhile'))
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>right')
    await until('it goes on', async () => (await code()) === 'none')
    await until(
      'what came meanwhile is delivered',
      () => to.queue.has('meanwhile') && to.all.has('meanwhile'),
    )
  },
)

test(
  'survives a message that the server refuses, and rejects with overloaded where its memory is full',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using broker = await open(prefix, { maxMessageBytes: 16 * 1024 * 1024 })
    const publish = (bytes: number) => broker.publish('t', { header: {}, body: new Uint8Array(bytes) })
    await redisCommand(server, 'CONFIG', 'SET', 'proto-max-bulk-len', String(1024 * 1024))
    // The server ends the connection while the rest is still being sent, and its reason may be lost with that.
    await assert.rejects(publish(2 * 1024 * 1024), (error: { code: string }) =>
      ['too-large', 'unavailable'].includes(error.code),
    )
    await redisCommand(server, 'CONFIG', 'SET', 'proto-max-bulk-len', String(512 * 1024 * 1024))
    await until('it goes on', () =>
      publish(1)
        .then(() => true)
        .catch(() => false),
    )
    await redisCommand(server, 'CONFIG', 'SET', 'maxmemory', '1')
    await assert.rejects(publish(1), { code: 'overloaded' })
    await redisCommand(server, 'CONFIG', 'SET', 'maxmemory', '0')
    await publish(1)
  },
)

test('acknowledges what was handled while the server was away', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix)
  let release = () => undefined as void
  let handled = 0
  await broker.subscribe(
    't',
    async () => {
      await new Promise<void>((resolve) => (release = resolve))
      handled++
    },
    { queue: 'q', onError: () => undefined },
  )
  await broker.publish('t', message('1'))
  await until('it is under way', () => release.length === 1)
  await server.kill()
  release()
  await until('it is handled', () => handled === 1)
  await server.start()
  await until('it is acknowledged', async () =>
    (await redisCommand(server, 'XPENDING', `${prefix}t`, 'q')).startsWith('*4\r\n:0'),
  )
  assert.equal(handled, 1)
})

test('is disposed in time while the server stands still', { skip }, async () => {
  const prefix = newPrefix()
  const broker = await open(prefix)
  await broker.subscribe('t', async () => undefined, { queue: 'q', onError: () => undefined })
  await broker.subscribe('t', async () => undefined)
  server.pause()
  try {
    const started = performance.now()
    await broker[Symbol.asyncDispose]()
    assert.ok(performance.now() - started < 2 * slowest)
  } finally {
    server.resume()
  }
})

test(
  'a subscription goes on with a server whose clock is behind that of the one before',
  { skip },
  async () => {
    await using link = await FaultyLink.to(server.port)
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    await using to = await consumers(prefix, { addresses: [`127.0.0.1:${link.port}`] })
    await redisCommand(server, 'XADD', `${prefix}t`, '99999999999999-0', 'body', 'ahead')
    await until('it is delivered', () => to.queue.has('ahead') && to.all.has('ahead'))
    await redisCommand(server, 'DEL', `${prefix}t`)
    link.reset()
    await publisher.publish('t', message('behind'))
    await until('it is delivered', () => to.queue.has('behind') && to.all.has('behind'))
  },
)

test('asks a server now and then that is there and does not let it read', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix)
  const got: string[] = []
  const errors: string[] = []
  await broker.subscribe('t', async (delivery) => void got.push(bodyOf(delivery)), {
    queue: 'q',
    onError: (error) => errors.push((error as { code?: string }).code ?? ''),
  })
  await broker.publish('t', message('1'))
  await until('it is delivered', () => got.length === 1)
  const reads = async () => {
    const stats = await redisCommand(server, 'INFO', 'commandstats')
    const [, calls = '0', rejected = '0'] =
      /cmdstat_xreadgroup:calls=(\d+).*rejected_calls=(\d+)/.exec(stats) ?? []
    return Number(calls) + Number(rejected)
  }
  // As a primary that has lost its replicas; one that loads its data, or cannot write its disk, says no as well.
  await redisCommand(server, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
  try {
    await until('it is told', () => errors.length > 0)
    const before = await reads()
    await pause(1000)
    const asked = (await reads()) - before
    assert.ok(asked < 30, `it was asked ${asked} times in a second`)
    assert.deepEqual(errors, ['unavailable'])
  } finally {
    await redisCommand(server, 'CONFIG', 'SET', 'min-replicas-to-write', '0')
  }
  await broker.publish('t', message('2'))
  await until('it goes on', () => got.length === 2)
})

test('goes on with others where the dead letters cannot be written, and says so', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { claimAfterMs: 100, maxDeliveries: 1 })
  const first = await broker.subscribe('t', async () => undefined, { queue: 'q' })
  await first[Symbol.asyncDispose]()
  for (const each of ['poison', 'good']) await broker.publish('t', message(each))
  // As two consumers that have died: one before it could answer, one before it was handed anything.
  await redisCommand(server, 'XREADGROUP', 'GROUP', 'q', 'died', 'COUNT', '1', 'STREAMS', `${prefix}t`, '>')
  await redisCommand(server, 'XREADGROUP', 'GROUP', 'q', 'other', 'COUNT', '1', 'STREAMS', `${prefix}t`, '>')
  const pending = await redisCommand(server, 'XPENDING', `${prefix}t`, 'q', '-', '+', '1', 'other')
  const [id = ''] = /\d+-\d+/.exec(pending) ?? []
  await redisCommand(server, 'XCLAIM', `${prefix}t`, 'q', 'other', '0', id, 'RETRYCOUNT', '0')
  await redisCommand(server, 'SET', `${prefix}t:dead`, 'of somebody else')
  const got: string[] = []
  const errors: string[] = []
  await broker.subscribe('t', async (delivery) => void got.push(bodyOf(delivery)), {
    queue: 'q',
    onError: (error) => errors.push(error.message),
  })
  await until('the good one is delivered', () => got.length === 1)
  assert.deepEqual(got, ['good'])
  await until('it is told', () => errors.length > 0)
  assert.match(errors[0] ?? '', /cannot be put in faults-\d+:t:dead: WRONGTYPE/)
  await pause(300)
  assert.equal(errors.length, 1)
  await redisCommand(server, 'DEL', `${prefix}t:dead`)
  const dead = async () => redisCommand(server, 'XLEN', `${prefix}t:dead`)
  await until('it is with the dead letters', async () => (await dead()) === ':1')
})

test('gives up a message of more fields than a script takes', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { maxDeliveries: 1 })
  await broker.subscribe('t', () => Promise.reject(new Error('cannot')), {
    queue: 'q',
    onError: () => undefined,
  })
  const more = Array.from({ length: 9000 }, (_, i) => String(i))
  await redisCommand(server, 'XADD', `${prefix}t`, '*', 'body', 'many', ...more)
  const dead = async () => redisCommand(server, 'XLEN', `${prefix}t:dead`)
  await until('it is with the dead letters', async () => (await dead()) === ':1')
})

test(
  'says once where a user may not take out what is handled, or take over what others left',
  { skip },
  async () => {
    const prefix = newPrefix()
    const rules = ['on', '>right', '~*', '&*', '+@all']
    await redisCommand(server, 'ACL', 'SETUSER', 'cleo', ...rules, '-xtrim', '-xpending')
    const logged: string[] = []
    const { log, ...context } = componentContext()
    const hear = { ...log, error: (event: string) => void logged.push(event) }
    const login = { username: 'cleo', password: 'right', sweepMs: 20 }
    await using broker = await openBroker(server, prefix, login, { ...context, log: hear })
    const errors: unknown[] = []
    const got: string[] = []
    await broker.subscribe('t', async (delivery) => void got.push(bodyOf(delivery)), {
      queue: 'q',
      onError: (error) => errors.push((error as { code?: string }).code),
    })
    for (const each of ['1', '2']) await broker.publish('t', message(each))
    await until('they are delivered', () => got.length === 2)
    await until('both are told', () => errors.length > 0 && logged.length > 0)
    await pause(200)
    assert.deepEqual(errors, ['forbidden'])
    assert.deepEqual(logged, ['cannot take out what is handled'])
  },
)
