import type { Transport } from '@micrograft/contracts'
import { clientServerCases, componentContext } from '@micrograft/testing'
import { httpTransport } from '../dist/transport/http-transport.js'
import { memoryHub } from '../dist/transport/memory-hub.js'
import { memoryTransport } from '../dist/transport/memory-transport.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { complyEveryWay } from './support/comply-every-way.js'
import { MucpSubject, type MucpSubjectOptions } from './support/mucp-subject.js'

interface Over {
  readonly make: () => Transport
  readonly nobody: string
  /** Nothing but the transport's buffers holds a sender. */
  readonly maxUnread: number
}

const transports: Readonly<Record<string, Over>> = {
  memory: {
    make: () => memoryTransport({ hub: memoryHub() }, componentContext()),
    nobody: 'memory:9',
    maxUnread: 60,
  },
  http: { make: () => httpTransport(undefined, componentContext()), nobody: '127.0.0.1:1', maxUnread: 1500 },
  tcp: { make: () => tcpTransport(undefined, componentContext()), nobody: '127.0.0.1:1', maxUnread: 1500 },
}

for (const [name, { make, nobody, maxUnread }] of Object.entries(transports)) {
  /** The transport of the case that runs: cases run one after the other. */
  let transport: Transport
  const context = () => componentContext({ transport: (transport = make()) })
  const subject = (more: Partial<MucpSubjectOptions>) =>
    new MucpSubject({ transport, address: '', nobody, maxUnread, ...more })
  complyEveryWay(`mucp over ${name}`, clientServerCases, {
    type: 'client',
    name: 'mucp',
    file: 'mucp/mucp-client',
    factory: 'mucpClient',
    context,
    subject: (client) => subject({ client }),
  })
  complyEveryWay(`mucp, its server, over ${name}`, clientServerCases, {
    type: 'server',
    name: 'mucp',
    file: 'mucp/mucp-server',
    factory: 'mucpServer',
    context,
    subject: (server) => subject({ server }),
  })
}
