import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { ServiceError } from '@micrograft/contracts'
import type { NatsConnectionOptions } from '@micrograft/nats-link'
import {
  freePort,
  missing,
  natsServer,
  ServerProcess,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { bytes, openLink } from './support/links.js'

const reason = unusable(natsServer())
const options = { skip: reason ?? false }
const own = { skip: missing(natsServer()) ?? false }
let server: TestServer
const at = () => ({ addresses: [server.address] })

before(async () => {
  if (reason === undefined) server = await usableServer(natsServer())
})
after(() => server?.[Symbol.asyncDispose]())

test('a message is published, heard by others, and answered', options, async () => {
  const subject = randomUUID()
  await using near = await openLink(at(), { noEcho: true })
  await using far = await openLink(at())
  const heard: string[] = []
  const hear = (who: string) => (data: { string(): string }) => void heard.push(`${who} ${data.string()}`)
  near.subscribe(subject, hear('near'))
  far.subscribe(subject, hear('far'))
  far.subscribe(`${subject}.question`, (message) => void message.respond(bytes('answer')))
  await Promise.all([near.flush(), far.flush()])
  await near.publish(subject, bytes('1'))
  await until('it is heard', () => heard.length > 0)
  const answer = await near.request(`${subject}.question`, bytes('?'))
  assert.equal(answer.string(), 'answer')
  // Not by who asked not to hear itself.
  assert.deepEqual(heard, ['far 1'])
})

test(
  'a request that nobody hears is rejected at once, and an aborted one with the reason',
  options,
  async () => {
    await using link = await openLink(at())
    const subject = randomUUID()
    await assert.rejects(link.request(subject, bytes('?')), { code: 'unavailable' })
    link.subscribe(subject, () => undefined)
    await assert.rejects(link.request(subject, bytes('?'), { timeoutMs: 50 }), { code: 'timeout' })
    const controller = new AbortController()
    const asked = link.request(subject, bytes('?'), {}, controller.signal)
    const enough = new Error('enough')
    controller.abort(enough)
    await assert.rejects(asked, enough)
  },
)

test('a drained subscription has all that was sent to it, and no more', options, async () => {
  await using link = await openLink(at())
  const subject = randomUUID()
  const heard: string[] = []
  const subscription = link.subscribe(subject, (message) => void heard.push(message.string()))
  for (let i = 0; i < 100; i++) link.send(subject, bytes(String(i)))
  await link.drain(subscription)
  assert.equal(heard.length, 100)
  await link.publish(subject, bytes('late'))
  await link.flush()
  assert.equal(heard.length, 100)
})

test('a message above what the server takes is refused, and the link stays', options, async () => {
  await using link = await openLink(at())
  const tooLarge = new Uint8Array(link.maxPayload + 1)
  await assert.rejects(link.publish('t', tooLarge), { code: 'too-large', message: /of \d+ bytes is above/ })
  assert.throws(() => link.send('t', tooLarge), { code: 'too-large' })
  await link.publish('t', bytes('small'))
})

test('a link that is closed says so, however often it is closed', options, async () => {
  const link = await openLink(at())
  await Promise.all([link.close(), link.close()])
  await assert.rejects(link.publish('t', bytes('1')), { code: 'closed' })
  await assert.rejects(link.flush(), { code: 'closed' })
  assert.throws(() => link.subscribe('t', () => undefined), { code: 'closed' })
})

test('options that are none are refused before a connection is tried', async () => {
  for (const each of [
    { addresses: ['not an address'] },
    { addresses: [] },
    { addresses: ['http://127.0.0.1:1'] },
    { addresses: ['nats://127.0.0.1:1/path'] },
    { timeoutMs: 0 },
    { connectTimeoutMs: -1 },
    { reconnectDelayMs: Number.NaN },
    { pingIntervalMs: 0 },
    { maxPendingBytes: 0 },
    { maxPendingBytes: Number.NaN },
    // A timer would take them for 1.
    { timeoutMs: Infinity },
    { connectTimeoutMs: 2 ** 31 },
    { timeoutMs: '5000' },
    { addresses: '127.0.0.1:1' },
    { addresses: ['nats://bob:50%@127.0.0.1:1'] },
    { tls: { caFile: '/nowhere/ca.pem' } },
    { tls: { ca: 'a certificate' } },
  ]) {
    await assert.rejects(
      openLink(each as NatsConnectionOptions),
      { code: 'invalid-option' },
      JSON.stringify(each),
    )
  }
  await assert.rejects(openLink({ addresses: ['nats://bob:hidden@127.0.0.1:1/path'] }), (error: Error) => {
    assert.doesNotMatch(error.message, /hidden/)
    return true
  })
})

test('a place where nobody answers is told by its address, in time, and left at once on a signal', async () => {
  const port = await freePort()
  await assert.rejects(openLink({ addresses: [`127.0.0.1:${port}`] }), (error: ServiceError) => {
    assert.equal(error.code, 'unavailable')
    assert.ok(error.message.includes(`127.0.0.1:${port}`), error.message)
    return true
  })
  const mute = createServer(() => undefined)
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const addresses = [`127.0.0.1:${(mute.address() as AddressInfo).port}`]
  try {
    await assert.rejects(openLink({ addresses, connectTimeoutMs: 50 }), { code: 'unavailable' })
    const controller = new AbortController()
    const opening = openLink({ addresses }, { signal: controller.signal })
    const enough = new Error('enough')
    controller.abort(enough)
    await assert.rejects(opening, enough)
  } finally {
    // It closes when no connection is left.
    await new Promise((resolve) => mute.close(resolve))
  }
})

test(
  'connects to another address where the first is dead, and with what an address says of user and password',
  own,
  async () => {
    const settings = { user: 'alice', password: 's3cret', jetstream: false }
    await using guarded = await ServerProcess.start(natsServer(() => settings))
    const places = ['127.0.0.1:1', `127.0.0.1:${guarded.port}`]
    for (const at of [0, 1]) {
      const addresses = places.map((place, i) => (i === at ? `nats://alice:s3cret@${place}` : place))
      await using link = await openLink({ addresses })
      await link.publish('t', bytes('1'))
    }
  },
)

test('a token opens the server, and what its permissions forbid is told', own, async () => {
  const token = natsServer(() => ({ token: 'open sesame', jetstream: false }))
  await using guarded = await ServerProcess.start(token)
  const addresses = [`127.0.0.1:${guarded.port}`]
  await using link = await openLink({ addresses, token: 'open sesame' })
  await link.publish('t', bytes('1'))
  await assert.rejects(openLink({ addresses, token: 'wrong' }), { code: 'unauthenticated' })
  const more =
    'authorization { users: [{ user: bob, password: b, permissions: { publish: "ok.>", subscribe: "ok.>" } }] }'
  await using narrow = await ServerProcess.start(natsServer(() => ({ jetstream: false, more })))
  await using bob = await openLink({ addresses: [`127.0.0.1:${narrow.port}`], user: 'bob', password: 'b' })
  await bob.publish('ok.a', bytes('1'))
  await assert.rejects(bob.publish('secret', bytes('1')), { code: 'forbidden' })
  const errors: ServiceError[] = []
  bob.subscribe('secret', () => undefined, { onError: (error) => errors.push(error) })
  await until('it is told', () => errors.length > 0)
  assert.equal(errors[0]?.code, 'forbidden')
})

test(
  'TLS is spoken where it is asked for, and a certificate that nobody vouches for is refused',
  own,
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'micrograft-tls-'))
    t.after(() => rm(folder, { recursive: true }))
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    try {
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
      const files = ['-keyout', keyFile, '-out', certFile, '-days', '2']
      const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
      execFileSync('openssl', [...kind, ...files, ...subject], { stdio: 'ignore' })
    } catch {
      return t.skip('there is no openssl to make a certificate')
    }
    const kind = natsServer(() => ({ tls: { certFile, keyFile }, jetstream: false }))
    await using secured = await ServerProcess.start(kind)
    const addresses = [`tls://127.0.0.1:${secured.port}`]
    await using link = await openLink({ addresses, tls: { caFile: certFile } })
    await link.publish('t', bytes('1'))
    await assert.rejects(openLink({ addresses }), { code: 'unavailable' })
    await using plain = await ServerProcess.start(natsServer(() => ({ jetstream: false })))
    await assert.rejects(openLink({ addresses: [plain.address], tls: true }), { code: 'unavailable' })
  },
)
