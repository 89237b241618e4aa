import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { Broker, Registry } from '@micrograft/contracts'
import { componentContext, until } from '@micrograft/testing'
import { httpBroker } from '../dist/broker/http-broker.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import type { TlsOptions } from '../dist/transport/tls-options.js'
import { Authority, noOpenssl } from './support/tls-files.js'

describe('the http broker over TLS', { skip: noOpenssl }, () => {
  if (noOpenssl) return
  const authority = new Authority()
  const other = new Authority()
  test.after(() => {
    authority[Symbol.dispose]()
    other[Symbol.dispose]()
  })
  const { ca } = authority
  const node = authority.sign()

  /** One registry, and brokers around it. */
  function fleet(t: TestContext): { registry: Registry; broker: (tls?: TlsOptions) => Broker } {
    const registry = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
    return {
      registry,
      broker(tls) {
        const made = httpBroker({ tls }, componentContext({ registry }))
        t.after(() => made[Symbol.asyncDispose]())
        return made
      },
    }
  }

  async function subscribed(broker: Broker, queue?: string): Promise<string[]> {
    const got: string[] = []
    await broker.subscribe(
      't',
      async ({ message: { body } }) => void got.push(Buffer.from(body).toString()),
      {
        queue,
      },
    )
    return got
  }

  const message = (text: string) => ({ header: {}, body: Buffer.from(text) })

  async function placeIn(registry: Registry): Promise<{ port: number; secure: string | undefined }> {
    const [node] = (await registry.get('micro.http.broker')).flatMap(({ nodes }) => nodes)
    assert.ok(node)
    const { address, metadata } = node
    return { port: Number(address.split(':')[1]), secure: metadata['secure'] }
  }

  test('brings messages to a subscriber whose node says that it is secure, and takes nothing in the clear', async (t) => {
    const { registry, broker } = fleet(t)
    const got = await subscribed(broker({ ...node, ca }))
    await broker({ ca }).publish('t', message('hello'))
    await until('it came', () => got.length === 1)
    const { port, secure } = await placeIn(registry)
    assert.equal(secure, 'true')
    const peer = connectTls({ port, host: '127.0.0.1', ca: Authority.text(ca), servername: 'localhost' })
    await new Promise((resolve, reject) => peer.once('secureConnect', resolve).once('error', reject))
    peer.destroy()
    const clear = connect(port, '127.0.0.1').on('error', () => undefined)
    let answer = ''
    clear.on('data', (bytes) => (answer += bytes.toString('latin1')))
    const ended = new Promise((resolve) => clear.once('close', resolve))
    clear.write('POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n')
    await ended
    assert.doesNotMatch(answer, /HTTP/)
  })

  test('fails a message with unauthenticated where the certificate is not believed, and does not drop it', async (t) => {
    const { broker } = fleet(t)
    const got = await subscribed(broker({ ...node, ca }))
    for (const tls of [undefined, { ca: other.ca }])
      await assert.rejects(broker(tls).publish('t', message('lost?')), {
        code: 'unauthenticated',
        message: /not who it should be.*tls\.ca/,
      })
    assert.deepEqual(got, [])
  })

  test('goes to another of the queue that is believed', async (t) => {
    const { broker } = fleet(t)
    const strange = await subscribed(broker({ ...other.sign(), ca }), 'q')
    const known = await subscribed(broker({ ...node, ca }), 'q')
    const publisher = broker({ ca })
    for (let i = 0; i < 20; i++) await publisher.publish('t', message(String(i)))
    await until('all came', () => known.length === 20)
    assert.deepEqual(strange, [])
  })

  test('tells a publisher without a certificate that one is required', async (t) => {
    const { broker } = fleet(t)
    const got = await subscribed(broker({ ...node, ca, clientCert: 'require' }))
    await assert.rejects(broker({ ca }).publish('t', message('1')), {
      code: 'unauthenticated',
      message: /does not take this side's certificate/,
    })
    await broker({ ...authority.sign(), ca }).publish('t', message('2'))
    await until('the second came', () => got.length === 1)
    assert.deepEqual(got, ['2'])
  })

  test('refuses a subscription where there is no certificate to receive with', async (t) => {
    const { broker } = fleet(t)
    await assert.rejects(
      broker({ ca }).subscribe('t', async () => undefined),
      {
        code: 'invalid-option',
        message: /http broker have no certificate to listen with/,
      },
    )
  })

  test('ends a connection that never gets as far as TLS with the broker', async (t) => {
    const { registry, broker } = fleet(t)
    const subscriber = broker({ ...node, ca })
    await subscribed(subscriber)
    const { port } = await placeIn(registry)
    const silent = connect(port, '127.0.0.1').on('error', () => undefined)
    await new Promise((resolve) => silent.once('connect', resolve))
    // One that came later was accepted: so the silent one was, too.
    await broker({ ca }).publish('t', message('1'))
    const ended = new Promise((resolve) => silent.once('close', resolve))
    await subscriber[Symbol.asyncDispose]()
    await ended
  })
})
