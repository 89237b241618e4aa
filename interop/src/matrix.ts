import { callGo } from './call-go.js'
import {
  contentTypes,
  features,
  places,
  protocols,
  type CaseError,
  type CaseResult,
  type Cell,
  type Checked,
  type ContentType,
  type Place,
  type Protocol,
} from './cells.js'
import { GoProcess } from './go-process.js'
import { judge, type Results } from './judge.js'
import { limitOf } from './limits.js'
import { write } from './message.js'
import type { NodeSide } from './node-side.js'
import type { Program } from './programs.js'
import { serviceName, topicName, type Settings } from './settings.js'

/** How long a message may be on its way, in milliseconds. */
const arrivalMs = 5000
const startMs = 60_000

interface Combination {
  readonly place: Place
  readonly protocol: Protocol
  readonly type: ContentType
}

/** A line that a client of go-micro prints. */
interface GoCase {
  readonly registry: string
  readonly broker: string
  readonly protocol: string
  readonly type: string
  readonly case: string
  readonly got: readonly string[] | null
  readonly error: CaseError | null
  readonly ms: number
}

/** Every combination of one version, with Node calling and with Go calling. */
export async function matrixOf(
  program: Program,
  side: NodeSide,
  settings: Settings,
): Promise<readonly Checked[]> {
  const combinations = places(settings.registries).flatMap((place) =>
    protocols.flatMap((protocol) => contentTypes.map((type): Combination => ({ place, protocol, type }))),
  )
  const checked: Checked[] = []
  const add = (from: Cell['from'], { place, protocol, type }: Combination, results: Results) => {
    for (const feature of features) {
      if (place.broker !== 'http' && feature !== 'event') continue
      const cell: Cell = { version: program.version, from, protocol, type, feature, ...place }
      checked.push({ cell, outcome: judge(feature, results), limit: limitOf(cell) })
    }
  }
  for (const [combination, results] of await nodeCalls(program, side, settings, combinations))
    add('node', combination, results)
  for (const [combination, results] of await goCalls(program, side, settings, combinations))
    add('go', combination, results)
  return checked
}

type Outcomes = readonly (readonly [Combination, Results])[]

async function nodeCalls(
  program: Program,
  side: NodeSide,
  settings: Settings,
  combinations: readonly Combination[],
): Promise<Outcomes> {
  await using server = new GoProcess(program, 'server', settings)
  if (!(await server.prints((line) => line['ready'] === true, startMs)))
    throw new Error(`the server of go-micro ${program.release} did not start:\n${server.log}`)
  const outcomes = await Promise.all(
    combinations.map(async (combination) => {
      const { place, protocol, type } = combination
      const caller = side.caller(place)
      const topic = topicName(settings, program.version, protocol, place)
      const arrived = resultOf(async () => {
        await caller.publish(topic, write(type, type), { contentType: type })
        return server.prints(({ heard, name }) => heard === topic && name === type, arrivalMs)
      })
      const service = serviceName(settings, program.version, protocol)
      const calls = place.broker === 'http' ? await callGo(caller, service, type) : []
      return [combination, new Map([...calls, ['event', await arrived]])] as const
    }),
  )
  if (server.hasEnded) throw new Error(`the server of go-micro ${program.release} ended:\n${server.log}`)
  return outcomes
}

async function goCalls(
  program: Program,
  side: NodeSide,
  settings: Settings,
  combinations: readonly Combination[],
): Promise<Outcomes> {
  await using client = new GoProcess(program, 'client', settings)
  if (!(await client.ends(startMs)))
    throw new Error(`the client of go-micro ${program.release} failed:\n${client.log}`)
  const lines = client.lines as unknown as GoCase[]
  return Promise.all(
    combinations.map(async (combination) => {
      const { place, protocol, type } = combination
      const results = new Map<string, CaseResult>()
      for (const each of lines) {
        if (each.registry !== place.registry || each.broker !== place.broker) continue
        if (each.protocol !== protocol || each.type !== type) continue
        results.set(each.case, { got: each.got ?? [], error: each.error ?? undefined, ms: each.ms })
      }
      const published = results.get('event')
      if (published && !published.error) {
        const topic = `${topicName(settings, 'js', protocol, place)}-${program.version}`
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
