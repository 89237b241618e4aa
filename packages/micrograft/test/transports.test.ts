import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { transportCases, type TransportSubject } from '@micrograft/testing'
import type { Transport } from '@micrograft/contracts'
import { complyEveryWay } from './support/comply-every-way.js'

const limits = { maxMessageBytes: 100_000, maxQueuedBytes: 1_000_000, maxConnections: 3 }
const directory = mkdtempSync(join(tmpdir(), 'mg-unix-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const subject =
  (address: string, nobody: string) =>
  (transport: Transport): TransportSubject => ({
    transport,
    address,
    nobody,
    limits,
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  })

complyEveryWay('tcp transport', transportCases, {
  type: 'transport',
  name: 'tcp',
  file: 'transport/tcp-transport',
  factory: 'tcpTransport',
  options: () => limits,
  subject: subject('127.0.0.1:0', '127.0.0.1:1'),
})

complyEveryWay('http transport', transportCases, {
  type: 'transport',
  name: 'http',
  file: 'transport/http-transport',
  factory: 'httpTransport',
  options: () => limits,
  subject: subject('127.0.0.1:0', '127.0.0.1:1'),
})

complyEveryWay('unix transport', transportCases, {
  type: 'transport',
  name: 'unix',
  file: 'transport/unix-transport',
  factory: 'unixTransport',
  options: () => ({ ...limits, directory }),
  subject: subject('', `unix:${directory}/nobody.sock`),
})

complyEveryWay('memory transport', transportCases, {
  type: 'transport',
  name: 'memory',
  file: 'transport/memory-transport',
  factory: 'memoryTransport',
  options: () => limits,
  subject: subject('', 'memory:65535'),
})
