import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ServiceError } from '@micrograft/contracts'
import { missing, natsServer, ServerProcess } from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { bytes, codeOf, openLink } from './support/links.js'

let allowed = 'ok.>'
const kind = natsServer(() => ({
  jetstream: false,
  more: `authorization { users: [
    { user: ann, password: a },
    { user: bob, password: b, permissions: { publish: "${allowed}", subscribe: ["${allowed}", "_INBOX.>"] } }
  ] }`,
}))
const options = { skip: missing(kind) ?? false }
let server: ServerProcess
before(async () => {
  if (options.skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const quick = () => ({ addresses: [`127.0.0.1:${server.port}`], reconnectDelayMs: 50 })
const ann = () => openLink({ ...quick(), user: 'ann', password: 'a' })
const bob = () => openLink({ ...quick(), user: 'bob', password: 'b' })

test('no publish that the server refuses resolves, on however many subjects at a time', options, async () => {
  await using link = await bob()
  const codes = await Promise.all(
    Array.from({ length: 3000 }, (_, i) => codeOf(link.publish(`secret.${i}`, bytes('1')))),
  )
  assert.deepEqual([...new Set(codes)], ['forbidden'])
})

test(
  'no publish that the server refuses resolves while others on its subject are tried',
  options,
  async () => {
    await using link = await bob()
    const codes = new Set<string>()
    const worker = async () => {
      for (let i = 0; i < 200; i++) codes.add(await codeOf(link.publish('secret', bytes('1'))))
    }
    // They do not begin in one turn, so that one is answered while another is on its way.
    const workers: Promise<void>[] = []
    for (let i = 0; i < 20; i++) {
      workers.push(worker())
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(workers)
    assert.deepEqual([...codes], ['forbidden'])
    await link.publish('ok.a', bytes('1'))
  },
)

test(
  'a subscription that the server refuses is told so, and is there once it is allowed',
  options,
  async () => {
    await using publisher = await ann()
    await using link = await bob()
    const heard: string[] = []
    const errors: ServiceError[] = []
    const subscription = link.subscribe('news', (message) => void heard.push(message.string()), {
      onError: (error) => void errors.push(error),
    })
    await assert.rejects(link.taken(subscription), { code: 'forbidden' })
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['forbidden'],
    )
    const ended = link.subscribe('news', (message) => void heard.push(`ended ${message.string()}`))
    await link.flush()
    link.unsubscribe(ended)
    allowed = '>'
    try {
      await server.kill()
      await server.start()
      await until('it hears', async () => {
        await codeOf(publisher.publish('news', bytes('1')))
        return heard.length > 0
      })
      await link.taken(subscription)
      await link.drain(subscription)
      const count = heard.length
      await publisher.publish('news', bytes('2'))
      await link.flush()
      assert.equal(heard.length, count)
      assert.deepEqual([...new Set(heard)], ['1'])
    } finally {
      allowed = 'ok.>'
      await server.kill()
      await server.start()
    }
  },
)

test('a callback that throws ends neither its subscription nor the link', options, async () => {
  await using link = await ann()
  const heard: string[] = []
  link.subscribe('t', (message) => {
    heard.push(message.string())
    throw new Error('cannot')
  })
  for (const each of ['1', '2']) await link.publish('t', bytes(each))
  await until('both are heard', () => heard.length === 2)
  await link.flush()
})

test('a subscription above what the server takes is told, and the others stay', options, async () => {
  const more = 'max_subscriptions: 2'
  await using narrow = await ServerProcess.start(natsServer(() => ({ jetstream: false, more })))
  await using link = await openLink({ addresses: [`127.0.0.1:${narrow.port}`] })
  const heard: string[] = []
  const subscribe = (subject: string) =>
    link.subscribe(subject, (message) => void heard.push(message.subject))
  await link.taken(subscribe('a'))
  const second = subscribe('b')
  await link.taken(second)
  await assert.rejects(link.taken(subscribe('c')), { code: 'overloaded' })
  link.unsubscribe(second)
  await link.taken(subscribe('d'))
  for (const each of ['a', 'b', 'd']) await link.publish(each, bytes('1'))
  await until('those that there are hear', () => heard.length === 2)
  assert.deepEqual(heard, ['a', 'd'])
})
