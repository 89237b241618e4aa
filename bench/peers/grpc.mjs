// @grpc/grpc-js with @grpc/proto-loader, as its guide shows them.

import { Client, credentials, loadPackageDefinition, Server, ServerCredentials } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { fileURLToPath } from 'node:url'

const definition = loadSync(fileURLToPath(new URL('test.proto', import.meta.url)))
const { Echo } = loadPackageDefinition(definition).test

export function serve({ message }) {
  const server = new Server()
  server.addService(Echo.service, {
    Call: ({ request }, reply) => reply(null, request),
    Stream(call) {
      let n = message.n
      const write = () => {
        // One turn writes no more than a few, so that others have theirs.
        for (let i = 0; i < 64 && !call.cancelled && !call.destroyed; i++)
          if (!call.write({ ...message, n: n++ })) return call.once('drain', write)
        if (!call.cancelled && !call.destroyed) setImmediate(write)
      }
      write()
    },
  })
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    ),
  )
}

export async function connect(address) {
  const client = new Echo(address, credentials.createInsecure())
  await new Promise((resolve, reject) =>
    Client.prototype.waitForReady.call(client, Date.now() + 10_000, (error) =>
      error ? reject(error) : resolve(),
    ),
  )
  return {
    call: (value) =>
      new Promise((resolve, reject) =>
        client.Call(value, (error, reply) => (error ? reject(error) : resolve(reply))),
      ),
    async *stream() {
      const call = client.Stream({})
      try {
        yield* call
      } finally {
        call.on('error', () => undefined).cancel()
      }
    },
  }
}
