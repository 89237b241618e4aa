import { createService, type Registry, type ServiceRecord } from 'micrograft'
import { childInput, report } from '../child.js'
import { pluginService, type PluginInput } from './plugin-service.js'

export interface RegistryInput extends PluginInput {
  readonly times: number
  readonly nodes: number
}

/** In milliseconds. */
export interface RegistryOutput {
  /** From registering one node until another process's watcher would be told; the median of all times. */
  readonly seen: number
  /** From registering many at once until the last is told. */
  readonly manySeen: number
  /** Reading all of them. */
  readonly list: number
  /** Reading the service of one of them. */
  readonly get: number
}

const { times, nodes, ...input } = childInput<RegistryInput>()

/** Two that know of each other only through the engine. */
async function registry(): Promise<Registry> {
  if (input.plugin !== undefined) return (await pluginService('registry', input)).use('registry')
  const service = createService({
    name: 'bench',
    logger: 'noop',
    registry: { use: 'local', options: { directory: input.address } },
  })
  await service.init([], {})
  await service.start()
  return service.use('registry')
}

function record(name: string): ServiceRecord {
  const node = { id: `${name}-1`, address: '127.0.0.1:4000', metadata: { protocol: 'rpc', transport: 'tcp' } }
  return { name, version: '1.0.0', metadata: {}, endpoints: [], nodes: [node] }
}

// Waiting for a registry keeps no process.
setInterval(() => undefined, 1000)
const [here, there] = await Promise.all([registry(), registry()])
const told = new Set<string>()
let wake: (() => void) | undefined
const watcher = await there.watch()
void (async () => {
  for await (const { service } of watcher) {
    told.add(service.name)
    wake?.()
  }
})()

async function timeUntilTold(names: readonly string[]): Promise<number> {
  const began = performance.now()
  await Promise.all(names.map((name) => here.register(record(name), { ttlMs: 600_000 })))
  while (!names.every((name) => told.has(name))) await new Promise<void>((resolve) => (wake = resolve))
  return performance.now() - began
}

const each: number[] = []
for (let i = 0; i < times; i++) each.push(await timeUntilTold([`one-${i}`]))
const manySeen = await timeUntilTold(Array.from({ length: nodes }, (_, i) => `many-${i}`))
let began = performance.now()
const { length } = await there.list()
const list = performance.now() - began
if (length < nodes) throw new Error(`${length} services are listed, and ${nodes} registered`)
began = performance.now()
await there.get('many-0')
const get = performance.now() - began
report({
  seen: each.sort((a, b) => a - b)[each.length >> 1] as number,
  manySeen,
  list,
  get,
} satisfies RegistryOutput)
process.exit(0)
