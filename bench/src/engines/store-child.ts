import { childInput, report } from '../child.js'
import type { How } from './engines.js'
import { pluginService, type PluginInput } from './plugin-service.js'
import { storeLibraries, type StoreSide } from './store-libraries.js'

export interface StoreInput extends PluginInput {
  readonly how: How
  readonly key: string
  readonly ms: number
}

/** Per second, with one and with 64 under way. */
export interface StoreOutput {
  readonly writes: readonly [one: number, many: number]
  readonly reads: readonly [one: number, many: number]
}

const { how, key, ms, ...input } = childInput<StoreInput>()
const side: StoreSide | undefined =
  how === 'plugin'
    ? (await pluginService('store', input)).use('store')
    : await storeLibraries[key]?.(input.address)
if (!side) throw new Error(`there is no library for ${key}`)
const { get, set } = side
const value = Buffer.alloc(100, 'x')
const keys = Array.from({ length: 256 }, (_, i) => `entry-${i}`)

async function rate(
  count: number,
  durationMs: number,
  call: (key: string) => Promise<unknown>,
): Promise<number> {
  let calls = 0
  const began = performance.now()
  const loop = async () => {
    while (performance.now() - began < durationMs) await call(keys[calls++ % keys.length] as string)
  }
  await Promise.all(Array.from({ length: count }, loop))
  return (calls / (performance.now() - began)) * 1000
}

const write = (name: string) => set(name, value)
const read = async (name: string) => {
  if ((await get(name))?.byteLength !== value.length) throw new Error(`${name} is not what was written`)
}
for (const each of keys) await write(each)
await rate(64, ms / 2, write)
const writes = [await rate(1, ms, write), await rate(64, ms, write)] as const
await rate(64, ms / 2, read)
report({ writes, reads: [await rate(1, ms, read), await rate(64, ms, read)] } satisfies StoreOutput)
process.exit(0)
