import { callGo } from './call-go.js'
import {
  contentTypes,
  features,
  places,
  type CaseError,
  type CaseResult,
  type Cell,
  type Checked,
  type ContentType,
  type Place,
} from './cells.js'
import { GoProcess } from './go-process.js'
import { judge, type Results } from './judge.js'
import { limitOf } from './limits.js'
import { write } from './message.js'
import { NodeSide } from './node-side.js'
import { nameAt, type Settings } from './settings.js'

/** How long a message may be on its way, in milliseconds, and how often it is sent meanwhile. */
const arrivalMs = 5000
const publishings = 10
const startMs = 60_000

/** A program of go-micro for one protocol. */
interface Program {
  /** Of go-micro, e.g. `v2`. */
  readonly version: string
  readonly path: string
}

interface Combination {
  readonly place: Place
  readonly type: ContentType
}

type Outcomes = readonly (readonly [Combination, Results])[]

/** A line that a client of go-micro prints. */
interface GoCase {
  readonly registry: string
  readonly broker: string
  readonly type: string
  readonly case: string
  readonly got: readonly string[] | null
  readonly error: CaseError | null
  readonly ms: number
}

/** Every combination of one version and protocol, with Node calling and with Go calling. */
export async function matrixOf(program: Program, settings: Settings): Promise<readonly Checked[]> {
  const { version } = program
  await using side = await NodeSide.start(settings, version)
  const combinations = places(settings.registries).flatMap((place) =>
    contentTypes.map((type): Combination => ({ place, type })),
  )
  const checked: Checked[] = []
  const add = (from: Cell['from'], outcomes: Outcomes) => {
    for (const [{ place, type }, results] of outcomes) {
      for (const feature of features) {
        if (place.broker !== 'http' && feature !== 'event') continue
        const cell: Cell = { version, from, protocol: settings.protocol, type, feature, ...place }
        checked.push({ cell, outcome: judge(feature, results), limit: limitOf(cell) })
      }
    }
  }
  add('node', await nodeCalls(program, side, settings, combinations))
  add('go', await goCalls(program, side, settings, combinations))
  return checked
}

async function nodeCalls(
  { version, path }: Program,
  side: NodeSide,
  settings: Settings,
  combinations: readonly Combination[],
): Promise<Outcomes> {
  await using server = new GoProcess(path, 'server', settings)
  if (!(await server.prints((line) => line['ready'] === true, startMs)))
    throw new Error(`the server of ${version}, ${settings.protocol} did not start:\n${server.log}`)
  const outcomes = await Promise.all(
    combinations.map(async (combination) => {
      const { place, type } = combination
      const caller = side.caller(place)
      const name = nameAt(settings, version, place)
      const arrived = resultOf(async () => {
        // A server of Go announces itself on mDNS up to a second after it has started.
        for (let i = 0; i < publishings; i++) {
          await caller.publish(name, write(type, type), { contentType: type })
          const isIt = (line: Record<string, unknown>) => line['heard'] === name && line['name'] === type
          if (await server.prints(isIt, arrivalMs / publishings)) return true
        }
        return false
      })
      const calls = place.broker === 'http' ? await callGo(caller, name, type) : []
      return [combination, new Map([...calls, ['event', await arrived]])] as const
    }),
  )
  if (server.hasEnded) throw new Error(`the server of ${version}, ${settings.protocol} ended:\n${server.log}`)
  return outcomes
}

async function goCalls(
  { version, path }: Program,
  side: NodeSide,
  settings: Settings,
  combinations: readonly Combination[],
): Promise<Outcomes> {
  await using client = new GoProcess(path, 'client', settings)
  if (!(await client.ends(startMs)))
    throw new Error(`the client of ${version}, ${settings.protocol} failed:\n${client.log}`)
  const lines = client.lines as unknown as GoCase[]
  return Promise.all(
    combinations.map(async (combination) => {
      const { place, type } = combination
      const results = new Map<string, CaseResult>()
      for (const each of lines) {
        if (each.registry !== place.registry || each.broker !== place.broker || each.type !== type) continue
        results.set(each.case, { got: each.got ?? [], error: each.error ?? undefined, ms: each.ms })
      }
      const published = results.get('event')
      if (published && !published.error) {
        const topic = nameAt(settings, 'js', place)
        results.set('event', await resultOf(() => side.hears(topic, type, arrivalMs)))
      }
      return [combination, results] as const
    }),
  )
}

/** Of a message: that it did not come is an error. */
async function resultOf(arrives: () => Promise<boolean>): Promise<CaseResult> {
  const started = performance.now()
  let error: CaseError | undefined
  try {
    if (!(await arrives())) error = { detail: 'it was published without an error' }
  } catch (thrown) {
    error = { detail: (thrown as Error).message }
  }
  return { got: [], error, ms: Math.round(performance.now() - started) }
}
