import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes } from '../bytes.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { aborted, dispatcher } from './dispatcher.js'
import { collect, request } from './request.js'

export const disposeCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'a client that is disposed fails what is under way with closed, and everything after it',
    async run({ client, start }) {
      let gone = 0
      let running = 0
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
            return bytes('')
          },
          'Stream.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
          },
        }),
      )
      const call = assert.rejects(client.call(node, request('Say.Wait')), code('closed'))
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = assert.rejects(collect(stream.messages), code('closed'))
      await until('both are under way', () => running === 2)
      const dialling = assert.rejects(
        client.call({ ...node, address: `${node.address}` }, request('Say.Wait')),
        code('closed'),
      )
      await Promise.all([client[Symbol.asyncDispose](), client[Symbol.asyncDispose]()])
      await Promise.all([call, reading, dialling])
      await until('the handlers are told', () => gone >= 2)
      await assert.rejects(client.call(node, request('Say.Wait')), code('closed'))
      await assert.rejects(client.stream(node, request('Stream.Wait')), code('closed'))
      await client[Symbol.asyncDispose]()
    },
  },
  {
    name: 'disposing a client or a server that was never used is no work',
    async run({ client }) {
      await client[Symbol.asyncDispose]()
    },
  },
]
