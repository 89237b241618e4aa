// Connect's own protocol by @connectrpc/connect-node, over HTTP/1.1 or HTTP/2.

import { createServer } from 'node:http'
import { createServer as createServer2 } from 'node:http2'
import { once } from 'node:events'
import { createClient } from '@connectrpc/connect'
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node'
import { Echo } from './messages.mjs'

export function connectOver(httpVersion) {
  return {
    async serve({ message }) {
      const handler = connectNodeAdapter({
        routes: (router) =>
          router.service(Echo, {
            call: (request) => request,
            async *stream() {
              for (let n = message.n; ; n++) yield { ...message, n }
            },
          }),
      })
      const server = httpVersion === '2' ? createServer2(handler) : createServer(handler)
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return `127.0.0.1:${server.address().port}`
    },
    async connect(address, { format }) {
      const transport = createConnectTransport({
        baseUrl: `http://${address}`,
        httpVersion,
        useBinaryFormat: format === 'protobuf',
      })
      const client = createClient(Echo, transport)
      return { call: (value) => client.call(value), stream: () => client.stream({}) }
    },
  }
}
