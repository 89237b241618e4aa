import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService } from 'micrograft'
import { until } from '@micrograft/testing'
import { privateFolder } from './support/folder.js'
import { pluginFile } from './support/plugin-file.js'

const store = (version: string) => `
export const Plugin = {
  name: 'shelf', type: 'store', version: '${version}',
  newFunc: () => {
    const entries = new Map()
    return {
      name: 'shelf', capabilities: { durable: false, shared: false },
      get: async (key) => entries.get(key),
      set: async (key, value) => void entries.set(key, value),
      delete: async (key) => entries.delete(key),
      list: async () => ['from ${version}'],
      async [Symbol.asyncDispose]() {},
    }
  },
}`

test('a plugin that appears in the folder and is not used can be chosen from then on, and is taken in newer versions once it is', async (t) => {
  const pluginDir = await privateFolder(t)
  const service = createService({
    name: 'keeper',
    registry: 'memory',
    transport: 'memory',
    logger: 'noop',
    pluginDir,
  })
  t.after(() => service.stop())
  await service.init([], {})
  await service.start()
  assert.deepEqual(await service.store.list(), [])
  const add = (version: string) =>
    pluginFile(pluginDir, { name: 'shelf', type: 'store', version }, store(version))

  await add('1.0.0')
  await until('it can be chosen', () => service.catalogue.names('store').includes('shelf'))
  assert.deepEqual(await service.store.list(), [], 'nobody chose it')
  await service.swap('store', 'shelf', { watchMs: 0 })
  assert.deepEqual(await service.store.list(), ['from 1.0.0'])

  await add('1.1.0')
  const current = () => service.slots.find(({ slot }) => slot === 'store')?.current
  await until('the newer one is taken', () => current() === 'shelf 1.1.0')
  assert.deepEqual(await service.store.list(), ['from 1.1.0'])
})

test('of several versions in a folder the highest release counts, also before what comes before the next', async (t) => {
  const folder = await privateFolder(t)
  const versions = ['1.0.0', '1.0.0-rc.2', '0.10.0', '0.9.0', '2.0.0-beta']
  for (const version of versions)
    await pluginFile(
      folder,
      { name: 'kept', type: 'store', version },
      `export const Plugin = { name: 'kept', type: 'store', version: '${version}', newFunc: () => ({}) }`,
    )
  const service = createService({ name: 'a', registry: 'memory', logger: 'noop', plugins: [folder] })
  t.after(() => service.stop())
  await service.init([], {})
  assert.equal(service.catalogue.find('store', 'kept').version, '1.0.0')
})
