import { once } from 'node:events'
import { ServiceError, serverStream, twoWay } from '@micrograft/contracts'
import type { EndpointGroup } from 'micrograft'
import { answer, read, type Message } from './message.js'

/** What the programs of go-micro call; they have the same. */
export const say: EndpointGroup = {
  Hello: (request: Message) => answer(request, `Hello ${read(request)}`),
  Fail: (request: Message) => {
    throw new ServiceError('bad-request', `bad ${read(request)}`, { id: 'greeter' })
  },
  Meta: (request: Message, { metadata }) => answer(request, metadata['x-tenant'] ?? ''),
  /** How many milliseconds are left of the deadline. */
  Left: (request: Message, { deadline }) =>
    answer(request, deadline === undefined ? '' : String(deadline - Date.now())),
  Wait: async (request: Message, { signal }) => {
    if (!signal.aborted) await once(signal, 'abort')
    return answer(request, '')
  },
  Count: serverStream({
    async *handle(request: Message) {
      for (let i = 1; i <= Number(read(request)); i++) yield answer(request, String(i))
    },
  }),
  Echo: twoWay({
    async *handle(messages: AsyncIterable<Message>) {
      for await (const each of messages) yield answer(each, read(each))
    },
  }),
}
