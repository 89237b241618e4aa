import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  clientStream,
  createService,
  definePlugin,
  serverStream,
  twoWay,
  unary,
  type CallStream,
  type Store,
} from 'micrograft'
import { z } from 'zod'

const say = {
  Hello: async (request: { name: string }) => ({ msg: `Hello ${request.name}` }),
  Now: async () => 7,
  async *Count({ to }: { to: number }) {
    for (let i = 1; i <= to; i++) yield i
  },
  Checked: unary({ input: z.object({ n: z.coerce.number() }), handle: ({ n }) => n * 2 }),
  Ticks: serverStream({
    input: z.object({ every: z.number() }),
    handle: async function* ({ every }) {
      yield new Date(every).toISOString()
    },
  }),
  Sum: clientStream({
    handle: async (numbers: AsyncIterable<number>) => {
      let sum = 0
      for await (const each of numbers) sum += each
      return { sum }
    },
  }),
  Echo: twoWay({
    handle: async function* (texts: AsyncIterable<string>) {
      yield* texts
    },
  }),
}
type Greeter = { Say: typeof say }

/** Whether two types are the same, checked by the compiler. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T | undefined => undefined

// Never called: the compiler is the test.
async function check(client: ReturnType<typeof createService>['client']) {
  const { Say } = client.of<Greeter>('greeter')
  const hello = await Say.Hello({ name: 'John' })
  holds<Same<typeof hello, { msg: string }>>()
  // @ts-expect-error a name is text
  await Say.Hello({ name: 7 })
  // @ts-expect-error there is no such endpoint
  await Say.Helo({ name: 'John' })
  // @ts-expect-error a stream is none of those that give one reply
  await Say.Count({ to: 3 })
  holds<Same<Awaited<ReturnType<typeof Say.Checked>>, number>>()
  holds<Same<Awaited<ReturnType<typeof Say.Sum>>, { sum: number }>>()
  await Say.Sum([1, 2, 3])
  // @ts-expect-error the stream is of numbers
  await Say.Sum(['1'])

  const streams = client.streamsOf<Greeter>('greeter').Say
  for await (const each of streams.Count({ to: 3 })) holds<Same<typeof each, number>>()
  for await (const each of streams.Ticks({ every: 1 })) holds<Same<typeof each, string>>()
  // @ts-expect-error an endpoint that gives one reply is no stream
  streams.Hello({ name: 'John' })
  // @ts-expect-error the request is checked
  streams.Count({ too: 3 })

  const channel = client.channelsOf<Greeter>('greeter').Say.Echo()
  holds<Same<typeof channel, CallStream<string, string>>>()
  // @ts-expect-error the channel takes text
  await channel.send(7)

  // @ts-expect-error there is no such option
  createService({ name: 'x', brokr: 'nats' })
  createService({ name: 'x', broker: { use: 'http', options: { inboxSize: 1 } }, client: 'rpc' })
  definePlugin<'store'>({ name: 'x', type: 'store', version: '1.0.0', newFunc: () => ({}) as Store })
  // @ts-expect-error a store is no broker
  definePlugin<'broker'>({ name: 'x', type: 'broker', version: '1.0.0', newFunc: () => ({}) as Store })
}

test('requests and replies are typed by the definition of the service', () => {
  assert.equal(typeof check, 'function')
})
