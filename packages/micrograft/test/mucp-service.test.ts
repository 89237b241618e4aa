import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { serverStream, ServiceError, twoWay } from '@micrograft/contracts'
import { pair, type Pair } from './support/pair.js'

/** A service and its caller, which no line of theirs tells apart from one on another protocol. */
async function mucpPair(t: TestContext, transport: string): Promise<Pair> {
  const client = { use: 'mucp', options: { connections: 4 } }
  return pair(
    t,
    (service) =>
      service.handle('Say', {
        Hello: (request: { name: string }) => ({ msg: `Hello ${request.name}` }),
        Tenant: (_: object, context) => {
          context.replyMetadata['x-node'] = 'one'
          return [context.metadata['x-tenant'], context.metadata['micro-from-service']]
        },
        Fail: () => {
          throw new ServiceError('forbidden', 'not you')
        },
        Count: serverStream({
          async *handle({ to }: { to: number }) {
            for (let i = 1; i <= to; i++) yield i
          },
        }),
        Echo: twoWay({
          async *handle(messages) {
            yield* messages
          },
        }),
      }),
    { service: { server: 'mucp', transport }, caller: { client, transport } },
  )
}

for (const transport of ['http', 'tcp']) {
  test(`a service and its caller talk by mucp over ${transport} where they are told to`, async (t) => {
    const { service, caller } = await mucpPair(t, transport)
    const { metadata } = service.record.nodes[0] as { metadata: Readonly<Record<string, string>> }
    assert.equal(metadata['protocol'], 'mucp')
    assert.equal(metadata['transport'], transport)
    const { client } = caller
    assert.deepEqual(await client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.call('greeter', 'Say.Hello', { name: String(i) })),
    )
    assert.deepEqual(replies[19], { msg: 'Hello 19' })
    let metadataOfReply: unknown
    const told = await client.call(
      'greeter',
      'Say.Tenant',
      {},
      {
        metadata: { 'x-tenant': 'äöü' },
        onMetadata: (each) => (metadataOfReply = each),
      },
    )
    assert.deepEqual(told, ['äöü', 'caller'])
    assert.deepEqual(metadataOfReply, { 'x-node': 'one' })
    await assert.rejects(client.call('greeter', 'Say.Fail', {}), { code: 'forbidden', id: 'greeter' })
    await assert.rejects(client.call('greeter', 'Say.None', {}), { code: 'not-found' })
    const counted: unknown[] = []
    for await (const each of client.stream('greeter', 'Say.Count', { to: 3 })) counted.push(each)
    assert.deepEqual(counted, [1, 2, 3])
    const open = client.open('greeter', 'Say.Echo')
    await open.send('a')
    await open.end()
    const echoed: unknown[] = []
    for await (const each of open) echoed.push(each)
    assert.deepEqual(echoed, ['a'])
  })
}

test('calls in JSON-RPC are answered, by the content type alone', async (t) => {
  const { caller } = await mucpPair(t, 'http')
  const reply = await caller.client.call(
    'greeter',
    'Say.Hello',
    { name: 'John' },
    { contentType: 'application/json-rpc' },
  )
  assert.deepEqual(reply, { msg: 'Hello John' })
})
