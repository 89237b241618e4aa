import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Registry } from '@micrograft/contracts'
import { Plugin } from '@micrograft/registry-etcd'
import { complyPlugin, etcd, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'

const reason = unusable(etcd)
if (reason !== undefined) test('etcd registry', { skip: reason })
else {
  let server: TestServer
  let options: object = {}
  before(async () => (server = await usableServer(etcd)))
  after(() => server[Symbol.asyncDispose]())
  complyPlugin('etcd registry', registryCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => (options = { addresses: [server.address], prefix: `/case/${randomUUID()}/` }),
    subject: (registry: Registry) => {
      const same = options
      return registrySubject(registry, async () => Plugin.newFunc(same as never, componentContext()))
    },
  })
}
