import assert from 'node:assert/strict'
import type { Metadata } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { dispatcher, echo } from './dispatcher.js'
import { request } from './request.js'

export const metadataCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'metadata goes with the call',
    async run({ client, start }) {
      let seen: Metadata = {}
      const { node } = await start(
        dispatcher({
          'Say.Hello': async ({ metadata }) => {
            seen = metadata
            return bytes('')
          },
        }),
      )
      const metadata = Object.freeze({ 'x-tenant': 'äöü ✓', traceparent: '00-1-2-01', empty: '' })
      await client.call(node, request('Say.Hello', '', { metadata }))
      for (const [name, value] of Object.entries(metadata)) assert.equal(seen[name], value)
    },
  },
  {
    name: 'reply metadata and a content type of its own come back',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Hello': async () => ({
            metadata: { 'x-cost': '7 €' },
            contentType: 'application/json',
            body: bytes('{}'),
          }),
        }),
      )
      const reply = await client.call(node, request('Say.Hello'))
      assert.equal(reply.metadata['x-cost'], '7 €')
      assert.equal(reply.contentType, 'application/json')
    },
  },
  {
    name: 'metadata that is none is refused before it is sent',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const none: Metadata[] = [{ 'UPPER CASE': 'x' }, { a: 'two\nlines' }, { a: 'x'.repeat(8193) }]
      for (const metadata of none) {
        await assert.rejects(client.call(node, request('Say.Hello', '', { metadata })), code('bad-request'))
      }
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
    },
  },
]
