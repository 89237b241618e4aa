import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { text } from '../bytes.js'
import { pause } from '../wait.js'
import { dispatcher, echo } from './dispatcher.js'
import { collect, request } from './request.js'

export const backPressureCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'back-pressure: a reader that waits holds the sender at the server',
    async run({ client, start, maxUnread }) {
      let sent = 0
      const { node } = await start(
        dispatcher({
          'Stream.Flood': async (_, stream) => {
            for (; sent < maxUnread * 4; sent++) await stream.send(new Uint8Array(10_000))
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Flood'))
      await settles(() => sent)
      assert.ok(sent <= maxUnread, `${sent} messages were sent that nobody read, more than ${maxUnread}`)
      assert.equal((await collect(stream.messages)).length, maxUnread * 4)
    },
  },
  {
    name: 'back-pressure: a handler that waits holds the sender at the client',
    async run({ client, start, maxUnread }) {
      let read: () => void = () => undefined
      let count = 0
      const { node } = await start(
        dispatcher({
          'Stream.Slow': async (_, stream) => {
            await new Promise<void>((resolve) => (read = resolve))
            for await (const _ of stream.messages) count++
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Slow'))
      let sent = 0
      const sending = (async () => {
        for (; sent < maxUnread * 4; sent++) await stream.send(new Uint8Array(10_000))
        await stream.end()
      })()
      await settles(() => sent)
      assert.ok(sent <= maxUnread, `${sent} messages were sent that nobody read, more than ${maxUnread}`)
      read()
      await sending
      await collect(stream.messages)
      assert.equal(count, maxUnread * 4)
    },
  },
  {
    name: 'back-pressure: a stream that nobody reads does not hold calls',
    async run({ client, start, maxUnread }) {
      const { node } = await start(
        dispatcher({
          'Stream.Flood': async (_, stream) => {
            for (let i = 0; i < maxUnread * 4; i++) await stream.send(new Uint8Array(10_000))
          },
          'Say.Hello': echo,
        }),
      )
      await using stream = await client.stream(node, request('Stream.Flood'))
      await pause(20)
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
      assert.ok(stream)
    },
  },
]

/** Waits until `value` has not changed for a while. */
async function settles(value: () => number): Promise<void> {
  let last = -1
  let since = Date.now()
  while (Date.now() - since < 150) {
    if (value() !== last) {
      last = value()
      since = Date.now()
    }
    await pause(10)
  }
}
