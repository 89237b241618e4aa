import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { aborted, dispatcher } from './dispatcher.js'
import { collect, request } from './request.js'

export const streamEndCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'an error of a stream comes after what was sent before it',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Fail': async (_, stream) => {
            for (let i = 0; i < 5; i++) await stream.send(bytes(String(i)))
            throw new ServiceError('forbidden', 'no more for you')
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Fail'))
      const got: string[] = []
      await assert.rejects(async () => {
        for await (const each of stream.messages) got.push(text(each))
      }, code('forbidden'))
      assert.deepEqual(got, ['0', '1', '2', '3', '4'])
      await assert.rejects(stream.send(bytes('late')), code('forbidden'))
    },
  },
  {
    name: 'cancel: leaving a stream early tells the handler',
    async run({ client, start }) {
      let reason: unknown
      let failure: unknown
      const { node } = await start(
        dispatcher({
          'Stream.Forever': async ({ signal }, stream) => {
            void aborted(signal).then((each) => (reason = each))
            try {
              for (;;) await stream.send(bytes('more'))
            } catch (error) {
              failure = error
            }
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Forever'))
      for await (const _ of stream.messages) break
      await until('the handler is told', () => reason && failure)
      assert.ok(reason instanceof ServiceError && reason.code === 'canceled', String(reason))
    },
  },
  {
    name: 'cancel: disposing a stream, or aborting its signal, tells the handler',
    async run({ client, start }) {
      let canceled = 0
      const { node } = await start(
        dispatcher({
          'Stream.Wait': async ({ signal }, stream) => {
            void aborted(signal).then(() => canceled++)
            for await (const _ of stream.messages);
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      await stream.send(bytes('a'))
      await stream[Symbol.asyncDispose]()
      await stream[Symbol.asyncDispose]()
      await until('the handler is told', () => canceled === 1)
      const controller = new AbortController()
      const second = await client.stream(node, request('Stream.Wait'), { signal: controller.signal })
      const reading = assert.rejects(collect(second.messages), /given up/)
      await second.send(bytes('a'))
      controller.abort(new Error('given up'))
      await reading
      await assert.rejects(second.send(bytes('late')), /given up/)
      await until('the handler is told', () => canceled === 2)
    },
  },
  {
    name: 'timeout: a stream ends at its deadline at both ends',
    async run({ client, start }) {
      let reason: unknown
      const { node } = await start(
        dispatcher({
          'Stream.Wait': async ({ signal }) => {
            reason = await aborted(signal)
          },
        }),
      )
      // Long enough to open it on a busy machine.
      const stream = await client.stream(node, request('Stream.Wait', '', { timeoutMs: 200 }))
      await assert.rejects(collect(stream.messages), code('timeout'))
      await until('the handler is told', () => reason)
    },
  },
]
