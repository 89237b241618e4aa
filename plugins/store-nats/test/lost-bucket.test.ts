import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { missing, natsLogin, natsServer, ServerProcess } from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { Kvm, type Bucket } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { bytes, openStore, text } from './support/nats.js'

const kind = natsServer()
const options = { skip: missing(kind) ?? false }
let server: ServerProcess
before(async () => {
  if (options.skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const place = (storage: 'file' | 'memory') => ({
  addresses: [server.address],
  reconnectDelayMs: 50,
  timeoutMs: 300,
  database: randomUUID(),
  maxBytes: 10_000_000,
  storage,
})

async function deleteBucket(name: string): Promise<void> {
  const connection = await connect(natsLogin(server))
  const { jsm, stream } = (await new Kvm(connection).open(name)) as Bucket
  await jsm.streams.delete(stream)
  await connection.close()
}

async function again<T>(call: () => Promise<T>): Promise<T> {
  await assert.rejects(call(), { code: 'timeout' })
  let found: T
  const asked = () =>
    call().then(
      (value) => {
        found = value
        return true
      },
      () => false,
    )
  await until('it is answered', asked)
  return found!
}

test('stores of other options make one bucket at the same time', options, async () => {
  const same = place('memory')
  const other = { ...same, maxBytes: 5_000_000 }
  for (let i = 0; i < 5; i++) {
    const stores = await Promise.all([same, other, same, other].map((each) => openStore(each)))
    await deleteBucket(same.database)
    await Promise.all(stores.map((each) => each.set('k', bytes('1'))))
    await Promise.all(stores.map((each) => each[Symbol.asyncDispose]()))
    await deleteBucket(same.database)
  }
})

const calls: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  // Who looks for one entry is answered by nobody the first time.
  get: async (store) => assert.equal(await again(() => store.get('k')), undefined),
  delete: async (store) => assert.equal(await again(() => store.delete('k')), false),
  list: async (store) => assert.deepEqual(await store.list(), []),
  set: async (store) => store.set('k', bytes('2')),
}
for (const [name, call] of Object.entries(calls)) {
  test(`a ${name} finds an empty bucket where somebody has deleted it`, options, async () => {
    const same = place('file')
    await using store = await openStore(same)
    await store.set('k', bytes('1'))
    await deleteBucket(same.database)
    // None of them waits for another one's try.
    await Promise.all([call(store), call(store)])
    await store.set('k', bytes('2'))
    assert.equal(text(await store.get('k')), '2')
  })
}

test(
  'calls go on after the loss of a bucket that was in the memory of a server that is started again',
  options,
  async () => {
    await using store = await openStore(place('memory'))
    await store.set('k', bytes('1'))
    await server.kill()
    await server.start()
    const set = () =>
      store.set('k', bytes('2')).then(
        () => true,
        () => false,
      )
    await until('it is set', set, 10_000)
    assert.equal(text(await store.get('k')), '2')
  },
)
