import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'
import {
  memoryRegistry,
  memoryRegistryHub,
  type MemoryRegistryHub,
} from '../dist/registry/memory-registry.js'
import { complyEveryWay } from './support/comply-every-way.js'

let hub: MemoryRegistryHub
complyEveryWay('memory registry', registryCases, {
  type: 'registry',
  name: 'memory',
  file: 'registry/memory-registry',
  factory: 'memoryRegistry',
  options: () => ({ hub: (hub = memoryRegistryHub()) }),
  subject: (registry) => registrySubject(registry, () => memoryRegistry({ hub }, componentContext())),
})

const greeter = {
  name: 'greeter',
  version: '1',
  metadata: {},
  endpoints: [],
  nodes: [{ id: 'a', address: '127.0.0.1:1', metadata: {} }],
}

test('memory registries without options share the nodes of the process, and leave none behind', async () => {
  const [first, second] = [
    memoryRegistry(undefined, componentContext()),
    memoryRegistry({}, componentContext()),
  ]
  await first.register(greeter, { ttlMs: 60_000 })
  assert.equal((await second.get('greeter')).length, 1)
  await first[Symbol.asyncDispose]()
  assert.deepEqual(await second.get('greeter'), [])
  await second[Symbol.asyncDispose]()
})

test('an unknown option of the memory registry is refused', () => {
  assert.throws(() => memoryRegistry({ hubb: 1 } as never, componentContext()), { code: 'invalid-option' })
})

test('a time to live longer than any timer is kept', async () => {
  const registry = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
  await registry.register(greeter, { ttlMs: 2 ** 40 })
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal((await registry.get('greeter')).length, 1)
  await registry[Symbol.asyncDispose]()
})

test('a node whose time has passed is not given, even where this process was too busy for timers', async () => {
  const registry = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
  await registry.register(greeter, { ttlMs: 20 })
  const end = performance.now() + 40
  while (performance.now() < end);
  assert.deepEqual(await registry.get('greeter'), [])
  await registry[Symbol.asyncDispose]()
})
