import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerProcess } from '@micrograft/test-support'
import { runChild } from '../child.js'
import { goal, type Goal } from '../goals.js'
import { number, spread, table } from '../markdown.js'
import { interleave } from '../rounds.js'
import { sectioned, type Run, type Section } from '../sections.js'
import { figure, ratio } from '../statistics.js'
import type { Suite } from '../suite.js'
import type { BrokerInput, BrokerOutput } from './broker-child.js'
import { brokers, registries, stores, type Engine, type How } from './engines.js'
import type { RegistryInput, RegistryOutput } from './registry-child.js'
import type { StoreInput, StoreOutput } from './store-child.js'

export const enginesSuite: Suite = sectioned({
  name: 'engines',
  title: 'Engines',
  about: 'brokers and stores through their plugins and through their own client libraries, and registries',
  peers: false,
  parts: { brokers: measureBrokers, stores: measureStores, registries: measureRegistries },
})

const brokerChild = new URL('broker-child.js', import.meta.url)
const storeChild = new URL('store-child.js', import.meta.url)
const registryChild = new URL('registry-child.js', import.meta.url)

/** Least that goes through a plugin of what goes through the library. */
const leastOfLibrary = 0.8
const ways: readonly How[] = ['plugin', 'library']

/** Both ways of one engine, a fresh server for each engine and a fresh process for each round. */
async function bothWays<T>(
  run: Run,
  engine: Engine,
  measure: (how: How, address: string) => T,
): Promise<Record<How, T[]>> {
  run.say(`${engine.label}: ${engine.plugin} and ${engine.library}`)
  await using server = await ServerProcess.start(engine.server)
  // Awaited here: the server goes when this is left.
  return await interleave(
    run.rounds,
    Object.fromEntries(ways.map((how) => [how, () => measure(how, server.address)])) as Record<How, () => T>,
  )
}

async function measureBrokers(run: Run): Promise<Section> {
  const rows: { label: string; library: string; figures: Record<string, ReturnType<typeof compared>> }[] = []
  for (const engine of run.quick ? brokers.slice(0, 1) : brokers) {
    const { key, label, library, plugin, options } = engine
    const measured = await bothWays(run, engine, (how, address) =>
      runChild<BrokerOutput>(brokerChild, {
        how,
        key,
        ms: run.ms,
        plugin,
        options,
        address,
      } satisfies BrokerInput),
    )
    const of = (pick: (output: BrokerOutput) => number) =>
      compared(measured.plugin.map(pick), measured.library.map(pick))
    rows.push({
      label,
      library,
      figures: {
        perSecond: of(({ perSecond }) => perSecond),
        p50: of(({ p50 }) => p50),
        p99: of(({ p99 }) => p99),
      },
    })
  }
  return {
    data: rows,
    goals: rows.map(({ label, figures }) => least(`messages by ${label}`, figures['perSecond'])),
    markdown: `## Brokers

Messages of 100 bytes in one process, which publishes 64 at a time, each until the server has it, and consumes as a member of a queue, 64 at a time, each acknowledged by itself where the engine has that; then one message after the other, from publishing to consuming.

${table(
  ['', 'library', 'messages/s', 'library', '÷', 'p50, ms', 'library', 'p99, ms', 'library'],
  rows.map(({ label, library, figures: { perSecond, p50, p99 } }) => [
    label,
    library,
    number(perSecond?.plugin.median ?? 0),
    number(perSecond?.library.median ?? 0),
    spread(perSecond?.ratio ?? figure([0])),
    number(p50?.plugin.median ?? 0),
    number(p50?.library.median ?? 0),
    number(p99?.plugin.median ?? 0),
    number(p99?.library.median ?? 0),
  ]),
)}
`,
  }
}

async function measureStores(run: Run): Promise<Section> {
  const rows: { label: string; library: string; what: string; figures: ReturnType<typeof compared> }[] = []
  for (const engine of run.quick ? stores.slice(0, 1) : stores) {
    const { key, label, library, plugin, options } = engine
    const measured = await bothWays(run, engine, (how, address) =>
      runChild<StoreOutput>(storeChild, {
        how,
        key,
        ms: run.ms / 2,
        plugin,
        options,
        address,
      } satisfies StoreInput),
    )
    for (const what of ['writes', 'reads'] as const)
      for (const [i, count] of [1, 64].entries()) {
        const of = (how: How) => measured[how].map((output) => output[what][i] as number)
        rows.push({
          label,
          library,
          what: `${what}, ${count} at a time`,
          figures: compared(of('plugin'), of('library')),
        })
      }
  }
  return {
    data: rows,
    goals: rows.map(({ label, what, figures }) => least(`${label}: ${what}`, figures)),
    markdown: `## Stores

Entries of 100 bytes under 256 keys. SQLite has no client library to be compared with: it is a part of Node.

${table(
  ['', 'library', '', 'per second', 'library', '÷'],
  rows.map(({ label, library, what, figures }) => [
    label,
    library,
    what,
    number(figures.plugin.median),
    number(figures.library.median),
    spread(figures.ratio),
  ]),
)}
`,
  }
}

async function measureRegistries(run: Run): Promise<Section> {
  const nodes = run.quick ? 20 : 1000
  const rows: { label: string; figures: Record<keyof RegistryOutput, ReturnType<typeof figure>> }[] = []
  const measure = async (
    label: string,
    child: (round: number) => RegistryOutput | Promise<RegistryOutput>,
  ) => {
    run.say(`${label}: ${nodes} nodes`)
    const outputs: RegistryOutput[] = []
    for (let round = 0; round < run.rounds; round++) outputs.push(await child(round))
    const of = (key: keyof RegistryOutput) => figure(outputs.map((each) => each[key]))
    rows.push({
      label,
      figures: { seen: of('seen'), manySeen: of('manySeen'), list: of('list'), get: of('get') },
    })
  }
  const times = run.quick ? 3 : 20
  await measure('local', async (round) => {
    const address = join(run.folder, `nodes-${round}`)
    await mkdir(address, { mode: 0o700 })
    return runChild(registryChild, {
      plugin: undefined,
      options: undefined,
      address,
      times,
      nodes,
    } satisfies RegistryInput)
  })
  for (const { label, plugin, options, server } of run.quick ? [] : registries)
    await measure(label, async () => {
      await using process = await ServerProcess.start(server)
      const { address } = process
      return runChild(registryChild, { plugin, options, address, times, nodes } satisfies RegistryInput)
    })
  return {
    data: rows,
    markdown: `## Registries

Two registries that know of each other only through the engine: from registering a node with the one until a watcher of the other is told of it, one at a time, and ${number(nodes)} at once; then reading all of them, and the service of one.

${table(
  ['', 'one is seen after, ms', `${number(nodes)} are seen after, ms`, 'list of all, ms', 'get of one, ms'],
  rows.map(({ label, figures: { seen, manySeen, list, get } }) => [
    label,
    number(seen.median),
    number(manySeen.median),
    number(list.median),
    number(get.median),
  ]),
)}
`,
  }
}

function compared(plugin: readonly number[], library: readonly number[]) {
  return { plugin: figure(plugin), library: figure(library), ratio: ratio(plugin, library) }
}

function least(what: string, figures: ReturnType<typeof compared> | undefined): Goal {
  return goal(
    `${what}, through the plugin ÷ through the library`,
    'at least',
    leastOfLibrary,
    figures?.ratio.median ?? 0,
  )
}
