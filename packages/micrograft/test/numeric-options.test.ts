import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentContext, pause } from '@micrograft/testing'
import { httpBroker } from '../dist/broker/http-broker.js'
import { memoryBroker } from '../dist/broker/memory-broker.js'
import { localRegistry } from '../dist/registry/local-registry.js'
import { mdnsRegistry } from '../dist/registry/mdns-registry.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { dnsSelector } from '../dist/selector/dns-selector.js'
import { registrySelector } from '../dist/selector/registry-selector.js'
import { openDnsServer } from './support/dns-server.js'

const registry = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
const context = componentContext({ registry })

const factories: readonly [(options: never) => unknown, readonly string[]][] = [
  [(options) => httpBroker(options, context), ['maxMessageBytes', 'inboxSize', 'registerTtlMs']],
  [(options) => memoryBroker(options, context), ['inboxSize']],
  [(options) => localRegistry(options, context), ['pollMs', 'maxFileBytes', 'maxNodes']],
  [(options) => mdnsRegistry(options, context), ['timeoutMs', 'maxNodes']],
  [(options) => dnsSelector(options, context), ['refreshMs', 'timeoutMs', 'asideMs']],
  [(options) => registrySelector(options, context), ['maxRetryMs', 'maxFailures', 'maxAsideMs']],
]

test('times and sizes that are no numbers above 0 are refused by name', () => {
  for (const [make, names] of factories) {
    for (const name of names) {
      for (const value of [0, -1, Number.NaN, '5', true, null])
        assert.throws(
          () => make({ [name]: value } as never),
          { code: 'invalid-option', message: new RegExp(name) },
          `${name}: ${String(value)}`,
        )
    }
  }
})

test('a time without end is none that is over at once', async () => {
  let registrations = 0
  const counted = Object.assign(Object.create(registry) as typeof registry, {
    capabilities: registry.capabilities,
    register: async () => void registrations++,
    deregister: async () => undefined,
  })
  await using broker = httpBroker({ registerTtlMs: Infinity }, componentContext({ registry: counted }))
  await broker.subscribe('t', async () => undefined)
  await using server = await openDnsServer()
  server.records.push({ type: 'A', name: 'a.test.', ttl: 1, address: '127.0.0.1' })
  const endless = { servers: [server.address], refreshMs: Infinity, timeoutMs: Infinity }
  await using selector = dnsSelector(endless, context)
  await using _ = await selector.select('a.test:80')
  const { asked } = server
  await pause(50)
  assert.equal(registrations, 1)
  assert.equal(server.asked, asked)
})
