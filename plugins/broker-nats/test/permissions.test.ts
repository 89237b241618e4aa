import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Delivery } from '@micrograft/contracts'
import { missing, natsServer, ServerProcess } from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { jetStream, message, openBroker, text } from './support/nats.js'

let allowed = 'ok.>'
let forbidden = 'none'
const kind = natsServer(() => ({
  more: `authorization { users: [
    { user: ann, password: a },
    { user: bob, password: b, permissions: { publish: { allow: ["${allowed}", "may.>", "$JS.API.>", "$JS.ACK.>"], deny: "${forbidden}" }, subscribe: ["${allowed}", "_INBOX.>"] } }
  ] }`,
}))
const options = { skip: missing(kind) ?? false }
let server: ServerProcess
before(async () => {
  if (options.skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const quick = () => ({ addresses: [`127.0.0.1:${server.port}`], reconnectDelayMs: 50, timeoutMs: 1000 })
const ann = () => ({ ...quick(), user: 'ann', password: 'a' })
const bob = () => ({ ...quick(), user: 'bob', password: 'b' })

async function startAgain(subjects: string): Promise<void> {
  allowed = subjects
  await server.kill()
  await server.start()
}

test('what the server’s permissions forbid is rejected, and what they allow goes on', options, async () => {
  await using broker = await openBroker(bob())
  const ignore = async () => undefined
  for (const queue of ['q', undefined]) {
    await assert.rejects(broker.subscribe('secret', ignore, { queue }), { code: 'forbidden' })
  }
  await assert.rejects(broker.publish('secret', message('1')), { code: 'forbidden' })
  const got: string[] = []
  await broker.subscribe('ok.a', async ({ message: { body } }) => void got.push(text(body)))
  await broker.publish('ok.a', message('1'))
  await until('it is delivered', () => got.length === 1)
  const name = randomUUID()
  await using kept = await openBroker({
    ...bob(),
    prefix: 'ok',
    jetstream: { stream: name, subjects: ['ok.>', 'no.>'], maxBytes: 1_000_000 },
  })
  const kinds: string[] = []
  for (const queue of ['q', undefined]) {
    await kept.subscribe('a', async () => void kinds.push(String(queue)), { queue })
  }
  await kept.publish('a', message('1'))
  await until('both have it', () => kinds.length === 2)
  await using other = await openBroker({
    ...bob(),
    jetstream: { stream: name, subjects: ['ok.>', 'no.>'], maxBytes: 1_000_000 },
  })
  await assert.rejects(other.publish('no.a', message('1')), { code: 'forbidden' })
})

test('who may not acknowledge what is handled is told so', options, async () => {
  const jetstream = { stream: randomUUID(), subjects: ['may.>'], maxBytes: 1_000_000 }
  forbidden = '$JS.ACK.>'
  try {
    await startAgain('ok.>')
    await using publisher = await openBroker({ ...ann(), jetstream })
    await using broker = await openBroker({ ...bob(), jetstream })
    const codes: string[] = []
    const onError = (error: Error) => void codes.push((error as { code?: string }).code ?? '')
    await broker.subscribe('may.a', async () => undefined, { queue: 'q', onError })
    await publisher.publish('may.a', message('1'))
    await until('it is told', () => codes.length > 0)
    assert.deepEqual(codes, ['forbidden'])
    await using all = await jetStream({ host: server.host, port: server.port, user: 'ann', password: 'a' })
    await all.streams.delete(jetstream.stream)
  } finally {
    forbidden = 'none'
    await startAgain('ok.>')
  }
})

test('a queue that may not be asked for messages says so, and goes on when it may', options, async () => {
  const jetstream = { stream: randomUUID(), subjects: ['may.>'], maxBytes: 1_000_000 }
  await using publisher = await openBroker({ ...ann(), jetstream })
  await using broker = await openBroker({ ...bob(), jetstream })
  const got: string[] = []
  const codes: string[] = []
  const handle = async ({ message: { body } }: Delivery) => void got.push(text(body))
  await broker.subscribe('may.a', handle, {
    queue: 'q',
    onError: (error) => void codes.push((error as { code?: string }).code ?? ''),
  })
  forbidden = '$JS.API.CONSUMER.MSG.NEXT.>'
  try {
    await startAgain('ok.>')
    await until('it is told', () => codes.length > 0, 10_000)
    // Some tries later.
    await pause(1500)
    assert.deepEqual(codes, ['forbidden'])
    await assert.rejects(broker.subscribe('may.b', handle, { queue: 'q' }), { code: 'forbidden' })
    await publisher.publish('may.a', message('1'))
  } finally {
    forbidden = 'none'
    await startAgain('ok.>')
  }
  await until('it is delivered', () => got.length === 1, 10_000)
})

test(
  'a subscription that is forbidden in the middle is told so, and comes back when it is allowed',
  options,
  async () => {
    await using publisher = await openBroker(ann())
    await using broker = await openBroker(bob())
    const got: string[] = []
    const codes: string[] = []
    await broker.subscribe('ok.a', async ({ message: { body } }) => void got.push(text(body)), {
      onError: (error) => void codes.push((error as { code?: string }).code ?? ''),
    })
    try {
      await startAgain('other.>')
      await until('it is told', () => codes.length > 0)
      assert.deepEqual(codes, ['forbidden'])
    } finally {
      await startAgain('ok.>')
    }
    const publish = () =>
      publisher.publish('ok.a', message('1')).then(
        () => got.length > 0,
        () => false,
      )
    await until('it is delivered again', publish, 10_000)
  },
)
