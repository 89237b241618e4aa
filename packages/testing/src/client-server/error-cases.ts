import assert from 'node:assert/strict'
import { errorCodes, ServiceError, type ErrorCode } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { dispatcher, echo } from './dispatcher.js'
import { collect, request } from './request.js'

export const errorCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'every error code comes back with its id and detail',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Fail': async (_, body) => {
            throw new ServiceError(text(body) as ErrorCode, `detail of ${text(body)}: grüße`, {
              id: 'greeter',
            })
          },
        }),
      )
      for (const each of Object.keys(errorCodes) as ErrorCode[]) {
        await assert.rejects(client.call(node, request('Say.Fail', each)), (error: unknown) => {
          assert.ok(error instanceof ServiceError)
          assert.deepEqual(
            [error.code, error.id, error.message],
            [each, 'greeter', `detail of ${each}: grüße`],
          )
          return true
        })
      }
    },
  },
  {
    name: 'a handler that throws what is no error is an error at the caller, at once',
    async run({ client, start }) {
      const panics = dispatcher({})
      const { node } = await start({
        kind: (endpoint) => (endpoint === 'Stream.Panic' ? 'stream' : 'unary'),
        // eslint-disable-next-line prefer-promise-reject-errors -- that is what is tested
        unary: ({ endpoint }) => (endpoint === 'Say.Throw' ? panic() : Promise.reject('text')),
        stream: panics.stream,
      })
      const before = Date.now()
      await assert.rejects(client.call(node, request('Say.Reject')), code('internal'))
      await assert.rejects(client.call(node, request('Say.Throw')), code('internal'))
      const stream = await client.stream(node, request('Stream.Panic'))
      await assert.rejects(collect(stream.messages), code('internal'))
      assert.ok(Date.now() - before < 2000)
    },
  },
  {
    name: 'an unknown endpoint is not-found, unary and stream',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      await assert.rejects(client.call(node, request('Say.Nothing')), code('not-found'))
      const stream = await client.stream(node, request('Stream.Nothing'))
      await assert.rejects(collect(stream.messages), code('not-found'))
    },
  },
  {
    name: 'a call whose reply cannot be sent is an error at the caller, at once',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Bad': async () => ({ metadata: { 'NOT A NAME': '\n' }, contentType: 'x', body: bytes('') }),
          'Say.Hello': echo,
        }),
      )
      await assert.rejects(client.call(node, request('Say.Bad')), code('internal'))
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
    },
  },
]

function panic(): never {
  // eslint-disable-next-line no-throw-literal -- that is what is tested
  throw 'text'
}
