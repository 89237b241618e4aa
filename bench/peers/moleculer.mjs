// Moleculer, whose nodes find each other: by their addresses over TCP, and through the server over NATS.

import { Readable } from 'node:stream'
import { ServiceBroker } from 'moleculer'
import { freePort } from './free-port.mjs'

function makeBroker(nodeID, transporter) {
  return new ServiceBroker({ nodeID, transporter, logger: false })
}

function echo({ message, received, isAsync }) {
  return {
    name: 'test',
    actions: {
      echo: isAsync ? async ({ params }) => params : ({ params }) => params,
      stream: () =>
        Readable.from(
          (function* () {
            for (let n = message.n; ; n++) yield { ...message, n }
          })(),
        ),
    },
    events: { news: () => received() },
  }
}

function connection(broker) {
  return {
    call: (value) => broker.call('test.echo', value),
    async *stream() {
      const messages = await broker.call('test.stream')
      yield* messages
    },
    publish: (value) => broker.emit('news', value),
  }
}

async function connectBroker(transporter) {
  const broker = makeBroker('client', transporter)
  await broker.start()
  await broker.waitForServices('test', 10_000, 5)
  return connection(broker)
}

export const overTcp = {
  async serve(options) {
    const port = await freePort()
    const broker = makeBroker('server', tcp(port, []))
    broker.createService(echo(options))
    await broker.start()
    return `127.0.0.1:${port}`
  },
  async connect(address) {
    return connectBroker(tcp(await freePort(), [`${address}/server`]))
  },
}

/** Without the broadcasts by which nodes find each other: nobody else is to be found. */
function tcp(port, urls) {
  return { type: 'TCP', options: { udpDiscovery: false, port, urls } }
}

export const overNats = {
  async serve(options) {
    const broker = makeBroker('server', options.nats)
    broker.createService(echo(options))
    await broker.start()
    return options.nats
  },
  connect: (address) => connectBroker(address),
}

/** In one process. */
export async function local(options) {
  const broker = makeBroker('local', undefined)
  broker.createService(echo(options))
  await broker.start()
  return connection(broker)
}
