import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Registry } from '@micrograft/contracts'
import { Plugin } from '@micrograft/registry-etcd'
import { complyPlugin, etcd, missing, ServerProcess } from '@micrograft/test-support'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'

const reason = missing(etcd)
if (reason !== undefined) test('etcd registry', { skip: reason })
else {
  let server: ServerProcess
  let cases = 0
  let options: object = {}
  before(async () => (server = await ServerProcess.start(etcd)))
  after(() => server[Symbol.asyncDispose]())
  complyPlugin('etcd registry', registryCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => (options = { addresses: [`127.0.0.1:${server.port}`], prefix: `/case/${++cases}/` }),
    subject: (registry: Registry) => {
      const same = options
      return registrySubject(registry, async () => Plugin.newFunc(same as never, componentContext()))
    },
  })
}
