import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  FaultyLink,
  natsLogin,
  natsServer,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { Plugin } from '@micrograft/transport-nats'
import { connect, createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { createService } from 'micrograft'
import { door, echo, End, message, openTransport } from './support/nats.js'

const kind = natsServer(() => ({ jetstream: false }))
const reason = unusable(kind)
const options = { skip: reason ?? false }
let server: TestServer
let raw: NatsConnection
const at = () => ({ addresses: [server.address] })

before(async () => {
  if (reason !== undefined) return
  server = await usableServer(kind)
  raw = await connect(natsLogin(server))
})
after(async () => {
  await raw?.close()
  await server?.[Symbol.asyncDispose]()
})

const goText = (body: string, header: object | null = null) =>
  JSON.stringify({ Header: header, Body: Buffer.from(body).toString('base64') })

test('a client of go-micro calls and is answered, and its end is noticed', options, async () => {
  await using transport = await openTransport(at())
  const { address, ends } = await door(transport)
  const inbox = createInbox()
  const heard: Msg[] = []
  const client = raw.subscribe(inbox, { callback: (_, each) => void heard.push(each) })
  raw.publish(address, goText('hello', { 'Micro-ID': '1', 'Micro-Service': 'greeter' }), { reply: inbox })
  await until('it has come', () => ends[0]?.messages.length === 1)
  const [end] = ends as [End]
  assert.deepEqual({ ...end.messages[0]?.header }, { 'micro-id': '1', 'micro-service': 'greeter' })
  assert.deepEqual(end.texts, ['hello'])
  end.connection?.send(message('hi', { 'micro-id': '1', 'content-type': 'a/b' }))
  await until('it is answered', () => heard.length === 1)
  assert.equal(
    heard[0]?.string(),
    '{"Header":{"Content-Type":"a/b","Micro-ID":"1","Micro-Id":"1"},"Body":"aGk="}',
  )
  raw.publish(address, goText('again'), { reply: inbox })
  await until('it is the same connection', () => end.messages.length === 2)
  assert.equal(ends.length, 1)
  client.unsubscribe()
  await raw.flush()
  end.connection?.send(message('is anybody there?'))
  await until('nobody is', () => end.ended)
  assert.equal(end.error?.code, 'unavailable')
})

test('a connection of go-micro ends when nothing came for a while', options, async () => {
  await using transport = await openTransport({ ...at(), idleTimeoutMs: 200 })
  const { address, ends } = await door(transport)
  raw.publish(address, goText('hello'), { reply: createInbox() })
  await until('it has come and gone', () => ends[0]?.ended)
  assert.equal(ends[0]?.error, undefined)
})

test('a server of go-micro is called, and missed when it is gone', options, async () => {
  await using transport = await openTransport(at())
  const address = `go.${createInbox()}`
  const seen: string[] = []
  const go = raw.subscribe(address, {
    callback: (_, each) => {
      seen.push(each.string())
      if (each.data.length > 0) each.respond(goText('answer', { 'Micro-Id': '1' }))
    },
  })
  await raw.flush()
  const end = new End()
  const connection = await transport.dial(address, end)
  assert.ok(connection.send(message('question', { 'micro-id': '1' })))
  await until('it answers', () => end.messages.length === 1)
  assert.deepEqual(end.texts, ['answer'])
  assert.deepEqual(seen, ['', '{"Header":{"Micro-ID":"1","Micro-Id":"1"},"Body":"cXVlc3Rpb24="}'])
  assert.throws(() => connection.send(message('x'.repeat(900_000))), { code: 'too-large' })
  go.unsubscribe()
  await raw.flush()
  connection.send(message('question'))
  await until('it is missed', () => end.ended)
  assert.equal(end.error?.code, 'unavailable')
  await assert.rejects(transport.dial(address, new End()), { code: 'unavailable' })
})

test('messages larger than the server takes go in parts, both ways and whole', options, async () => {
  await using transport = await openTransport(at())
  const listener = await transport.listen('', echo)
  const end = new End()
  const connection = await transport.dial(listener.address, end)
  const body = Buffer.alloc(4_000_000, 'abcdefghij ')
  connection.send({ header: { a: 'ü' }, body })
  connection.send(message('after'))
  await until('both are back', () => end.messages.length === 2, 15_000)
  assert.ok(body.equals(end.messages[0]?.body as Uint8Array))
  assert.deepEqual({ ...end.messages[0]?.header }, { a: 'ü' })
  assert.equal(end.texts[1], 'after')
})

test('a peer that does not read holds up no other, and costs no more than its window', options, async () => {
  await using near = await openTransport(at())
  await using far = await openTransport(at())
  const { address, ends } = await door(far)
  const [slow, quick] = [new End(), new End()]
  const [a, b] = [await near.dial(address, slow), await near.dial(address, quick)]
  await until('both are there', () => ends.length === 2)
  ends[0]?.connection?.pause()
  const body = new Uint8Array(50_000)
  let sent = 1
  while (a.send({ header: {}, body })) sent++
  assert.ok(sent * body.length < 2_000_000)
  for (let i = 0; i < 100; i++) {
    b.send({ header: {}, body })
    await b.drained()
  }
  await until('the other is read', () => ends[1]?.messages.length === 100)
  assert.equal(ends[0]?.messages.length, 0)
  ends[0]?.connection?.resume()
  await a.drained()
  await until('all have come', () => ends[0]?.messages.length === sent)
})

test('what is no frame ends the one connection that it came on', options, async () => {
  await using transport = await openTransport(at())
  const { address, ends } = await door(transport)
  const good = new End()
  const connection = await transport.dial(address, good)
  const greet = async (): Promise<string> => {
    const asked = '{"version":1,"keepAliveMs":1000}'
    return (
      await raw.request(`${address}.micrograft`, asked, { timeout: 1000, noMux: true, reply: createInbox() })
    ).reply as string
  }
  const head = (kind: number, number: number, ...content: number[]) =>
    Uint8Array.of(kind, 0, 0, 0, number, ...content)
  const frames = {
    'no head': Uint8Array.of(1),
    'an unknown kind': head(99, 0),
    'a number that is not the next': head(4, 7),
    'a header that is cut off': head(1, 0, 0, 0, 0, 9, 123),
    'a header that is no JSON': head(1, 0, 0, 0, 0, 1, 123),
    'a header that is no object': head(1, 0, 0, 0, 0, 1, 49),
    'room of a wrong size': head(3, 0, 1),
  }
  for (const [name, frame] of Object.entries(frames)) {
    const before = ends.length
    raw.publish(await greet(), frame)
    await until(`${name} ends it`, () => ends[before]?.ended)
    assert.ok(['protocol', 'unavailable'].includes(ends[before]?.error?.code ?? ''), name)
  }
  for (const greeting of ['', 'x', '{}', '{"version":2,"keepAliveMs":1}', '{"version":1,"keepAliveMs":-1}']) {
    raw.publish(`${address}.micrograft`, greeting, { reply: createInbox() })
  }
  raw.publish(address, 'no json', { reply: createInbox() })
  connection.send(message('still there'))
  await until('the good one is served', () => ends[0]?.messages.length === 1)
  assert.equal(good.ended, false)
})

test('a peer that floods is ended at the limit', options, async () => {
  const limits = { maxMessageBytes: 10_000, maxQueuedBytes: 100_000 }
  await using transport = await openTransport({ ...at(), ...limits })
  const { address, ends } = await door(transport)
  raw.publish(address, goText('first'), { reply: 'flood' })
  await until('it has come', () => ends.length === 1)
  ends[0]?.connection?.pause()
  for (let i = 0; i < 100; i++) raw.publish(address, goText('x'.repeat(5000)), { reply: 'flood' })
  await until('it is ended', () => ends[0]?.ended)
  assert.equal(ends[0]?.error?.code, 'overloaded')
  const inbox = createInbox()
  const asked = '{"version":1,"keepAliveMs":1000}'
  const { reply = '' } = await raw.request(`${address}.micrograft`, asked, {
    timeout: 1000,
    noMux: true,
    reply: inbox,
  })
  for (let i = 0; i < 100; i++)
    raw.publish(reply, Buffer.concat([Uint8Array.of(2, 0, 0, 0, i), Buffer.alloc(5000)]))
  await until('parts without an end are ended too', () =>
    ends.some(({ error }) => error?.code === 'protocol'),
  )
})

test('a peer whose process has died is noticed by both who send and who do not', options, async () => {
  await using link = await FaultyLink.to(server.port, server.host)
  const quick = { keepAliveMs: 100 }
  await using here = await openTransport({ ...at(), ...quick })
  await using there = await openTransport({
    addresses: [`127.0.0.1:${link.port}`],
    user: server.user,
    password: server.password,
    ...quick,
    reconnectDelayMs: 60_000,
  })
  const { address, ends } = await door(here)
  const end = new End()
  await there.dial(address, end)
  await until('it is there', () => ends.length === 1)
  link.reset()
  await until('both know', () => end.ended && ends[0]?.ended)
  assert.deepEqual([end.error?.code, ends[0]?.error?.code], ['unavailable', 'unavailable'])
})

test('what a listener says at once is not lost', options, async () => {
  await using transport = await openTransport(at())
  const { address } = await transport.listen('', (connection) => {
    for (let i = 0; i < 20; i++) connection.send(message(String(i)))
    return new End()
  })
  for (let i = 0; i < 10; i++) {
    const end = new End()
    const connection = await transport.dial(address, end)
    await until('all is heard', () => end.messages.length === 20)
    await connection.close()
  }
})

test('services call each other over it', options, async () => {
  const transport = { use: 'nats', options: at() }
  const common = { plugins: [Plugin], transport, registry: { use: 'memory' } }
  const service = createService({ name: 'greeter', ...common })
  service.handle('Say', {
    Hello: async ({ name }: { name: string }) => ({ text: `Hello ${name}` }),
    Count: async function* ({ to }: { to: number }) {
      for (let n = 1; n <= to; n++) yield { n }
    },
  })
  const caller = createService({ name: 'caller', ...common })
  await service.start()
  await caller.start()
  try {
    const calls = Array.from({ length: 50 }, (_, i) =>
      caller.client.call('greeter', 'Say.Hello', { name: String(i) }),
    )
    assert.deepEqual(
      await Promise.all(calls),
      Array.from({ length: 50 }, (_, i) => ({ text: `Hello ${i}` })),
    )
    const seen: unknown[] = []
    for await (const each of caller.client.stream('greeter', 'Say.Count', { to: 200 })) seen.push(each)
    assert.equal(seen.length, 200)
    const name = 'x'.repeat(2_000_000)
    assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name }), { text: `Hello ${name}` })
  } finally {
    await caller.stop()
    await service.stop()
  }
})

test('nothing is told before the dial has resolved, as with sockets', options, async () => {
  await using transport = await openTransport(at())
  const { address } = await transport.listen('', (connection) => {
    for (let i = 0; i < 5; i++) connection.send(message(String(i)))
    return new End()
  })
  for (let i = 0; i < 10; i++) {
    let dialled = false
    const early: string[] = []
    const end = new End()
    const dialling = transport.dial(address, {
      message(each) {
        if (!dialled) early.push(Buffer.from(each.body).toString())
        end.message(each)
      },
      closed: (error) => end.closed(error),
    })
    await dialling
    dialled = true
    await until('all is heard', () => end.messages.length === 5)
    assert.deepEqual([early, end.texts], [[], ['0', '1', '2', '3', '4']])
  }
})

test('a listener that ends a connection at once is told as its end', options, async () => {
  await using transport = await openTransport(at())
  const { address } = await transport.listen('', (connection) => {
    connection.destroy()
    return new End()
  })
  const end = new End()
  await transport.dial(address, end)
  await until('it is told', () => end.ended)
  assert.equal(end.error?.code, 'unavailable')
})

test('what goes in parts is held back as well by a peer that does not read', options, async () => {
  await using near = await openTransport(at())
  await using far = await openTransport(at())
  const { address, ends } = await door(far)
  const connection = await near.dial(address, new End())
  await until('it is there', () => ends.length === 1)
  ends[0]?.connection?.pause()
  // One part, and a few bytes.
  const body = new Uint8Array(262_144)
  let sent = 0
  const all = (async () => {
    for (; sent < 60; sent++) {
      connection.send({ header: {}, body })
      await connection.drained()
    }
  })()
  all.catch(() => undefined)
  await until('it goes on', () => sent > 10, 1000).catch(() => undefined)
  assert.ok(sent <= 10, `${sent} were sent`)
  ends[0]?.connection?.resume()
  await all
  await until('all have come', () => ends[0]?.messages.length === 60)
})

test('parts with nothing in them end the connection', options, async () => {
  await using transport = await openTransport({ ...at(), maxMessageBytes: 1000 })
  const { address, ends } = await door(transport)
  const asked = '{"version":1,"keepAliveMs":1000}'
  const request = { timeout: 1000, noMux: true, reply: createInbox() }
  const { reply = '' } = await raw.request(`${address}.micrograft`, asked, request)
  for (let i = 0; i < 200; i++) raw.publish(reply, Uint8Array.of(2, 0, 0, 0, i))
  await until('it is ended', () => ends[0]?.ended)
  assert.equal(ends[0]?.error?.code, 'protocol')
})

test('a message above the limit ends the connection that it came on', options, async () => {
  await using near = await openTransport(at())
  await using far = await openTransport({ ...at(), maxMessageBytes: 10_000 })
  const { address, ends } = await door(far)
  const connection = await near.dial(address, new End())
  connection.send({ header: {}, body: new Uint8Array(10_000) })
  connection.send({ header: {}, body: new Uint8Array(10_001) })
  await until('it is ended', () => ends[0]?.ended)
  raw.publish(address, goText('x'.repeat(10_001)), { reply: createInbox() })
  await until('that of go-micro as well', () => ends[1]?.ended)
  assert.deepEqual(
    ends.map(({ error, messages }) => [error?.code, messages.length]),
    [
      ['protocol', 1],
      ['protocol', 0],
    ],
  )
})

test('disposing ends a dial that nobody has answered yet', options, async () => {
  const transport = await openTransport(at())
  const silent = `silent.${createInbox()}`
  const heard: Msg[] = []
  raw.subscribe(`${silent}.micrograft`, { callback: (_, each) => void heard.push(each) })
  await raw.flush()
  const dialling = assert.rejects(transport.dial(silent, new End(), { timeoutMs: Infinity }), {
    code: 'closed',
  })
  await until('it is asked', () => heard.length === 1)
  await transport[Symbol.asyncDispose]()
  await dialling
})

test('a connection outlives a time in which the whole process stood still', options, async () => {
  await using transport = await openTransport({ ...at(), keepAliveMs: 50 })
  const { address } = await transport.listen('', echo)
  const end = new End()
  const connection = await transport.dial(address, end)
  for (let i = 1; i <= 3; i++) {
    for (const until = performance.now() + 400; performance.now() < until;);
    connection.send(message('still there'))
    await until('it is answered', () => end.messages.length === i || end.ended)
    assert.equal(end.error, undefined)
  }
})

test('options that cannot be are refused, and TLS from end to end there is none', options, async () => {
  for (const [name, value] of [
    ['keepAliveMs', Infinity],
    ['keepAliveMs', 600_001],
    ['keepAliveMs', '10'],
    ['maxMessageBytes', NaN],
    ['maxConnections', 0],
  ] as const) {
    await assert.rejects(openTransport({ ...at(), [name]: value } as object), {
      code: 'invalid-option',
      message: new RegExp(name),
    })
  }
  await using transport = await openTransport({ ...at(), idleTimeoutMs: Infinity })
  await assert.rejects(transport.dial('nobody', new End(), { secure: true }), { code: 'unsupported' })
})

test('losing the server ends a dial that nobody has answered yet', options, async () => {
  await using link = await FaultyLink.to(server.port, server.host)
  await using transport = await openTransport({
    addresses: [`127.0.0.1:${link.port}`],
    user: server.user,
    password: server.password,
    reconnectDelayMs: 60_000,
  })
  const silent = `silent.${createInbox()}`
  const heard: Msg[] = []
  raw.subscribe(`${silent}.micrograft`, { callback: (_, each) => void heard.push(each) })
  await raw.flush()
  const dialling = assert.rejects(transport.dial(silent, new End(), { timeoutMs: 4000 }), {
    code: 'unavailable',
    message: /lost while dialling/,
  })
  await until('it is asked', () => heard.length === 1)
  link.reset()
  await dialling
})

test('a message larger than what may wait passes where nothing waits', options, async () => {
  await using transport = await openTransport({ ...at(), maxQueuedBytes: 10_000 })
  const { address, ends } = await door(transport)
  const connection = await transport.dial(address, new End())
  for (let i = 1; i <= 3; i++) {
    connection.send({ header: {}, body: new Uint8Array(1_500_000) })
    await connection.drained()
    await until('it has come', () => ends[0]?.messages.length === i)
  }
})
