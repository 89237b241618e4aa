import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { clientServerCases, comply, componentContext } from '@micrograft/testing'
import { memoryHub } from '../dist/transport/memory-hub.js'
import { memoryTransport } from '../dist/transport/memory-transport.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { unixTransport } from '../dist/transport/unix-transport.js'
import { RpcSubject } from './support/rpc-subject.js'

const directory = mkdtempSync(join(tmpdir(), 'mg-rpc-'))
after(() => rmSync(directory, { recursive: true, force: true }))

comply(test, 'rpc over tcp', clientServerCases, {
  create: () => new RpcSubject(tcpTransport(undefined, componentContext()), '', '127.0.0.1:1'),
})

comply(test, 'rpc over unix', clientServerCases, {
  create: () =>
    new RpcSubject(unixTransport({ directory }, componentContext()), '', `unix:${directory}/nobody`),
})

comply(test, 'rpc over memory', clientServerCases, {
  create: () => new RpcSubject(memoryTransport({ hub: memoryHub() }, componentContext()), '', 'memory:9'),
})
