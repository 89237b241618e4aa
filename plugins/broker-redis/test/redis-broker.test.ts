import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import type { Broker } from '@micrograft/contracts'
import { redisCommand, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { bodyOf, message, openBroker } from './support/brokers.js'

const kind = redisServer()
const skip = unusable(kind) ?? false
let server: TestServer
before(async () => {
  if (skip === false) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const newPrefix = () => `test-${randomUUID()}:`
const open = (prefix: string, options?: object): Promise<Broker> => openBroker(server, prefix, options)
const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index).padStart(5, '0'))
const lengthOf = async (stream: string) => Number((await redisCommand(server, 'XLEN', stream)).slice(1))

/** A process that subscribes to `t` in queue `q`, and the lines that it prints; gone after the test. */
async function consumer(
  t: TestContext,
  prefix: string,
  handler: string,
  options: object = {},
): Promise<{ readonly child: ChildProcess; readonly lines: () => string[] }> {
  const script = `
    import { openBroker, bodyOf } from './support/brokers.js'
    const broker = await openBroker({ address: '${server.address}' }, '${prefix}', ${JSON.stringify(options)})
    await broker.subscribe('t', ${handler}, { queue: 'q' })
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const lines = () => text.split('\n').slice(0, -1)
  await until('the process subscribes', () => lines().length > 0, 20_000)
  return { child, lines: () => lines().slice(1) }
}

test(
  'keeps messages for a queue that nobody subscribes to at the moment, also over a broker’s end',
  { skip },
  async () => {
    const prefix = newPrefix()
    const first = await open(prefix)
    await first.subscribe('t', async () => undefined, { queue: 'q' })
    await first[Symbol.asyncDispose]()
    const sent = numbers(200)
    {
      await using publisher = await open(prefix)
      for (const each of sent) await publisher.publish('t', message(each))
    }
    await using second = await open(prefix)
    const got: string[] = []
    await second.subscribe('t', async (delivery) => void got.push(bodyOf(delivery)), { queue: 'q' })
    await until('all are delivered', () => got.length >= sent.length)
    assert.deepEqual(got, sent)
  },
)

test('brokers of two processes share a queue: one of them gets each message', { skip }, async (t) => {
  const prefix = newPrefix()
  await using broker = await open(prefix)
  const here: string[] = []
  await broker.subscribe('t', async (delivery) => void here.push(bodyOf(delivery)), { queue: 'q' })
  const { lines: there } = await consumer(t, prefix, 'async (delivery) => console.log(bodyOf(delivery))')
  const sent = numbers(1000)
  await Promise.all(sent.map((each) => broker.publish('t', message(each))))
  await until('all are handled', () => here.length + there().length >= sent.length)
  assert.deepEqual([...here, ...there()].sort(), sent)
  assert.ok(here.length > 0 && there().length > 0, `${here.length} and ${there().length}`)
})

test(
  'a broker takes over from another under load: each message of a queue is handled once',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using publisher = await open(prefix)
    const handled: string[] = []
    let redelivered = 0
    const subscribe = async (broker: Broker) => {
      await broker.subscribe(
        't',
        async (delivery) => {
          await pause(1)
          handled.push(bodyOf(delivery))
          redelivered += delivery.redelivered
        },
        { queue: 'q', concurrency: 4 },
      )
      return broker
    }
    let current = await subscribe(await open(prefix))
    const sent: string[] = []
    const stop = new AbortController()
    const publishing = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) {
        sent.push(String(i))
        await publisher.publish('t', message(String(i)))
      }
    })()
    for (let swaps = 1; swaps <= 8; swaps++) {
      await until('messages are handled', () => handled.length >= swaps * 50)
      const next = await subscribe(await open(prefix))
      await current[Symbol.asyncDispose]()
      current = next
    }
    stop.abort()
    await publishing
    await until('all are handled', () => handled.length >= sent.length, 20_000)
    await current[Symbol.asyncDispose]()
    assert.deepEqual(handled.sort(), sent.sort())
    assert.equal(redelivered, 0)
  },
)

test('hands what a disposed subscription had not begun to another at once, as new', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { claimAfterMs: 60_000 })
  let release = () => undefined as void
  const begun: string[] = []
  const slow = await broker.subscribe(
    't',
    async (delivery) => {
      begun.push(bodyOf(delivery))
      await new Promise<void>((resolve) => (release = resolve))
    },
    { queue: 'q' },
  )
  const sent = numbers(10)
  for (const each of sent) await broker.publish('t', message(each))
  await until('one is begun', () => begun.length === 1)
  const got: [string, number][] = []
  await using other = await open(prefix)
  const disposed = slow[Symbol.asyncDispose]()
  await other.subscribe('t', async (delivery) => void got.push([bodyOf(delivery), delivery.redelivered]), {
    queue: 'q',
  })
  release()
  await disposed
  await until('the others are delivered', () => got.length >= 9)
  assert.deepEqual(
    got.sort(),
    sent.slice(1).map((each) => [each, 0]),
  )
  assert.equal(begun.length, 1)
})

test(
  'delivers what a crashed process had, when it has given no sign of life for so long',
  { skip },
  async (t) => {
    const prefix = newPrefix()
    const { child, lines } = await consumer(
      t,
      prefix,
      'async (delivery) => { console.log(bodyOf(delivery)); await new Promise(() => 0) }',
      {
        prefetch: 1,
        claimAfterMs: 600,
      },
    )
    await using broker = await open(prefix, { claimAfterMs: 600 })
    await broker.publish('t', message('1'))
    await until('the process has it', () => lines().length === 1)
    const got: [string, number][] = []
    await broker.subscribe('t', async (delivery) => void got.push([bodyOf(delivery), delivery.redelivered]), {
      queue: 'q',
    })
    // As long as it lives it keeps what it has, however long its handler takes.
    await pause(1500)
    assert.deepEqual(got, [])
    child.kill('SIGKILL')
    await until('it is delivered again', () => got.length > 0)
    assert.deepEqual(got, [['1', 1]])
  },
)

test(
  'delivers what was rejected again, after a growing pause, and then puts it with the dead letters',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using broker = await open(prefix, { maxDeliveries: 4 })
    const times: number[] = []
    const counts: number[] = []
    const failures: string[] = []
    await broker.subscribe(
      't',
      async ({ redelivered }) => {
        times.push(performance.now())
        counts.push(redelivered)
        throw new Error('cannot')
      },
      { queue: 'q', onError: (error) => failures.push(error.message) },
    )
    await broker.publish('t', { header: { a: 'b' }, body: new TextEncoder().encode('poison') })
    await until('it is given up', async () => (await lengthOf(`${prefix}t:dead`)) === 1)
    assert.deepEqual(counts, [0, 1, 2, 3])
    const pauses = times.slice(1).map((time, index) => time - (times[index] as number))
    for (const [index, least] of [50, 100, 200].entries())
      assert.ok((pauses[index] as number) >= least - 5, `${pauses.join()}`)
    const dead = (await redisCommand(server, 'XRANGE', `${prefix}t:dead`, '-', '+'))
      .split('\r\n')
      .filter((each) => !/^[$*]/.test(each))
    assert.deepEqual(
      [...dead.slice(1, 3), ...dead.slice(5)],
      ['queue', 'q', 'deliveries', '4', 'reason', 'cannot', 'header', '{"a":"b"}', 'body', 'poison'],
    )
    assert.match(await redisCommand(server, 'XPENDING', `${prefix}t`, 'q'), /^\*4\r\n:0/)
    assert.deepEqual(failures, ['cannot', 'cannot', 'cannot', 'cannot'])
  },
)

test(
  'gives up for one subscription without a queue what its handler rejects too often, and tells it',
  { skip },
  async () => {
    await using broker = await open(newPrefix(), { maxDeliveries: 3 })
    const counts: number[] = []
    const told: string[] = []
    const other: string[] = []
    await broker.subscribe(
      't',
      async (delivery) => {
        counts.push(delivery.redelivered)
        delivery.message.body.fill(0)
        throw new Error('cannot')
      },
      { onError: (error, delivery) => told.push(`${error.message} ${delivery && bodyOf(delivery)}`) },
    )
    await broker.subscribe('t', async (delivery) => void other.push(bodyOf(delivery)))
    await broker.publish('t', message('1'))
    await until('it is given up', () => told.length === 4)
    assert.deepEqual(counts, [0, 1, 2])
    assert.match(told[3] as string, /rejected 3 times and is given up 1$/)
    assert.deepEqual(other, ['1'])
  },
)

test(
  'passes over what is no message of its own: dead letters for a queue, onError for others',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using broker = await open(prefix)
    const got: string[] = []
    const told: string[] = []
    for (const queue of ['q', undefined])
      await broker.subscribe('t', async (delivery) => void got.push(bodyOf(delivery)), {
        queue,
        onError: (error) => told.push((error as { code?: string }).code ?? ''),
      })
    await redisCommand(server, 'XADD', `${prefix}t`, '*', 'header', 'no json', 'body', 'x')
    await redisCommand(server, 'XADD', `${prefix}t`, '*', 'header', '{"a":1}', 'body', 'x')
    await redisCommand(server, 'XADD', `${prefix}t`, '*', 'body', 'plain', 'more', 'y')
    await until('both have the good one', () => got.length === 2)
    assert.deepEqual(got, ['plain', 'plain'])
    await until('the bad ones are put aside', async () => (await lengthOf(`${prefix}t:dead`)) === 2)
    assert.deepEqual(
      told,
      Array.from({ length: 4 }, () => 'protocol'),
    )
  },
)

test('takes out what every queue has handled, and keeps what one has not', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { retainMs: 1, sweepMs: 20, commandTimeoutMs: 10_000 })
  let handled = 0
  await broker.subscribe('t', async () => void handled++, { queue: 'fast' })
  const gone = await broker.subscribe('t', async () => undefined, { queue: 'gone' })
  await gone[Symbol.asyncDispose]()
  await Promise.all(numbers(1000).map((each) => broker.publish('t', message(each))))
  await until('one queue has handled all', () => handled === 1000, 30_000)
  await pause(100)
  assert.equal(await lengthOf(`${prefix}t`), 1000)
  await redisCommand(server, 'XGROUP', 'DESTROY', `${prefix}t`, 'gone')
  // Whole nodes of a stream are taken out, of 100 messages each.
  await until('they are taken out', async () => (await lengthOf(`${prefix}t`)) <= 100)
})

test(
  'refuses more with overloaded where too much is not handled, and takes it when it is',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using broker = await open(prefix, { maxBacklog: 500, sweepMs: 20, retainMs: 1 })
    const first = await broker.subscribe('t', async () => undefined, { queue: 'q' })
    await first[Symbol.asyncDispose]()
    const publish = () =>
      broker
        .publish('t', message('1'))
        .then(() => 'taken')
        .catch((error: { code: string }) => error.code)
    let refused: string | undefined
    await until('it is refused', async () => {
      const results = await Promise.all(Array.from({ length: 20 }, publish))
      refused = results.find((each) => each !== 'taken')
      return refused !== undefined
    })
    assert.equal(refused, 'overloaded')
    const length = await lengthOf(`${prefix}t`)
    assert.ok(length >= 500 && length < 1000, `${length}`)
    let handled = 0
    await broker.subscribe('t', async () => void handled++, { queue: 'q', concurrency: 16 })
    await until('it is taken again', async () => (await publish()) === 'taken')
    assert.ok(handled >= 400, `${handled}`)
  },
)

test('drops the oldest above maxLength, where that is given', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { maxLength: 200 })
  const first = await broker.subscribe('t', async () => undefined, { queue: 'q' })
  await first[Symbol.asyncDispose]()
  for (const each of numbers(1000)) await broker.publish('t', message(each))
  const length = await lengthOf(`${prefix}t`)
  assert.ok(length >= 200 && length <= 300, `${length}`)
})

test('a topic that no queue reads expires; one with a queue does not', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { sweepMs: 10 })
  const expiry = async (topic: string) =>
    Number((await redisCommand(server, 'PTTL', `${prefix}${topic}`)).slice(1))
  await broker.publish('u', message('1'))
  await until('it expires', async () => (await expiry('u')) > 60_000)
  await broker.subscribe('u', async () => undefined, { queue: 'q' })
  assert.equal(await expiry('u'), -1)
  await broker.publish('u', message('2'))
  await pause(50)
  assert.equal(await expiry('u'), -1)
})

test('forgets the consumers of those who are disposed', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix)
  const subscription = await broker.subscribe('t', async () => undefined, { queue: 'q' })
  await broker.publish('t', message('1'))
  const consumers = () => redisCommand(server, 'XINFO', 'CONSUMERS', `${prefix}t`, 'q')
  await until('there is one', async () => (await consumers()).startsWith('*1'))
  await subscription[Symbol.asyncDispose]()
  assert.equal(await consumers(), '*0')
})

test('refuses a message above its limit with too-large, and options that are none', { skip }, async () => {
  const prefix = newPrefix()
  await using broker = await open(prefix, { maxMessageBytes: 1000 })
  await assert.rejects(broker.publish('t', { header: {}, body: new Uint8Array(1000) }), {
    code: 'too-large',
    message: /maxMessageBytes/,
  })
  await assert.rejects(broker.publish('t', { header: { a: 'x'.repeat(1000) }, body: new Uint8Array() }), {
    code: 'too-large',
  })
  await broker.publish('t', { header: {}, body: new Uint8Array(900) })
  for (const options of [
    { prefetch: 0 },
    { maxDeliveries: 0 },
    { maxLength: -1 },
    { redeliveryDelayMs: 100, claimAfterMs: 50 },
    { sweepMs: 2 ** 31 },
    { unknown: 1 },
  ])
    await assert.rejects(open(prefix, options), { code: 'invalid-option' }, JSON.stringify(options))
})

test('lets the process end once it is disposed', { skip }, async () => {
  const script = `
    import { openBroker, message } from './support/brokers.js'
    const broker = await openBroker({ address: '${server.address}' }, '${newPrefix()}')
    await broker.subscribe('t', async () => { throw new Error('x') }, { queue: 'q', onError: () => 0 })
    await broker.subscribe('t', async () => { throw new Error('x') }, { onError: () => 0 })
    await broker.publish('t', message('1'))
    await broker[Symbol.asyncDispose]()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    timeout: 10_000,
    stdio: 'inherit',
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('leaves no connection open that it was still making when it was disposed', { skip }, async () => {
  const sockets = () => process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap').length
  await until('those of other tests are gone', () => sockets() === 0)
  for (let i = 0; i < 20; i++) {
    const broker = await open(newPrefix())
    await broker.subscribe('t', async () => undefined)
    await broker[Symbol.asyncDispose]()
  }
  await until('all are closed', () => sockets() === 0)
})
