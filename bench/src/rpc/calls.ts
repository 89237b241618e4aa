import type { Goal } from '../goals.js'
import { goal } from '../goals.js'
import { number, spread, table } from '../markdown.js'
import type { PairLoad } from '../pairs/pair.js'
import { loadAt, measurePairs, perSecond, type Measured } from '../pairs/rounds.js'
import * as all from '../pairs/variants.js'
import type { Variant } from '../pairs/variants.js'
import type { Run, Section } from '../sections.js'
import { figure, median, ratio, type Figure } from '../statistics.js'

/** One of the tables: the same call by everybody who can make it. */
export interface Kind {
  readonly title: string
  readonly about: string
  readonly bytes: number
  readonly format: 'json' | 'protobuf'
  readonly variants: readonly Variant[]
  /** Whether it is what the design has numbers for. */
  readonly goals?: boolean | undefined
}

const everybody = [
  all.micrograft,
  all.net,
  all.joined,
  all.nest,
  all.moleculerTcp,
  all.moleculerNats,
  all.fastify,
  all.grpc,
  all.connectHttp1,
  all.connectHttp2,
  all.goMucp,
  all.goGrpc,
]

/** Those that write Protocol Buffers. */
const byProtobuf = [
  all.micrograft,
  all.net,
  all.joined,
  all.grpc,
  all.connectHttp1,
  all.connectHttp2,
  all.goGrpc,
]

const own = 'grpc-js and go-micro’s grpc write Protocol Buffers, as they do by default; all others JSON.'

export const kinds: Readonly<Record<'small' | 'large' | 'protobuf', Kind>> = {
  small: {
    title: 'A record of 100 bytes of JSON',
    about: `The record is sent, and comes back. ${own}`,
    bytes: 100,
    format: 'json',
    variants: everybody,
    goals: true,
  },
  large: {
    title: 'A list of 10 KB of JSON',
    about: `A list of records, 10,000 bytes as JSON. ${own}`,
    bytes: 10_000,
    format: 'json',
    variants: everybody,
  },
  protobuf: {
    title: 'The record by Protocol Buffers',
    about:
      'The record of the first table by those that write Protocol Buffers, and by the bare echo with the library that this project and Connect use.',
    bytes: 100,
    format: 'protobuf',
    variants: byProtobuf,
  },
}

const inFlight = [1, 64, 256]

/** At one number of calls in flight. */
interface At {
  readonly inFlight: number
  readonly perSecond: Figure
  readonly p50Ms: Figure
  readonly p99Ms: Figure
  readonly clientCpuUs: number | undefined
  readonly serverCpuUs: number | undefined
  /** Calls without an answer, of all rounds. */
  readonly failed: number
  /** Calls per second over those of the bare echo. */
  readonly toNet: Figure
  /** Those of micrograft over these. */
  readonly ours: Figure
  /** The 99th percentile of micrograft over this one. */
  readonly oursP99: Figure
}

interface Row {
  readonly label: string
  readonly framework: boolean
  readonly at: readonly At[]
  readonly memory: {
    readonly idleMB: number | undefined
    readonly clientPeakMB: number | undefined
    readonly serverPeakMB: number | undefined
  }
}

export async function measureCalls(run: Run, kind: Kind): Promise<Section> {
  const variants = run.possible(kind.variants.map((each) => ({ ...each, format: kind.format })))
  if (variants.length === 0)
    return { data: {}, markdown: `## ${kind.title}\n\nNot measured: it takes the peers’ packages.\n` }
  run.say(`${kind.title}: ${variants.map(({ label }) => label).join(', ')}`)
  const points = inFlight.map((count) => ({ inFlight: count, bytes: kind.bytes }))
  const measured = await measurePairs(run, variants, (pair) => loadAt(run, pair, points))
  const rows = rowsOf(variants, measured)
  const goals = kind.goals ? goalsOf(rows) : []
  return { data: rows, markdown: describe(kind, rows), goals }
}

function rowsOf(
  variants: readonly Variant[],
  measured: Readonly<Record<string, readonly Measured<PairLoad[]>[]>>,
): Record<string, Row> {
  const rates = (key: string, point: number) =>
    (measured[key] ?? []).map(({ value }) => perSecond(value[point] as PairLoad))
  const p99s = (key: string, point: number) =>
    (measured[key] ?? []).map(({ value }) => (value[point] as PairLoad).p99)
  const row = ({ key, label, framework = false }: Variant): Row => {
    const rounds = measured[key] ?? []
    const megabytes = (bytes: readonly (number | undefined)[]) =>
      bytes.every((each) => each !== undefined) ? median(bytes) / 1e6 : undefined
    return {
      label,
      framework,
      at: inFlight.map((count, point) => {
        const loads = rounds.map(({ value }) => value[point] as PairLoad)
        const cpu = (side: 'clientCpuUs' | 'serverCpuUs') => {
          const known = loads.map((each) => each[side])
          return known.every((each) => each !== undefined) ? median(known) : undefined
        }
        return {
          inFlight: count,
          perSecond: figure(rates(key, point)),
          p50Ms: figure(loads.map(({ p50 }) => p50)),
          p99Ms: figure(p99s(key, point)),
          clientCpuUs: cpu('clientCpuUs'),
          serverCpuUs: cpu('serverCpuUs'),
          failed: loads.reduce((sum, { failed = 0 }) => sum + failed, 0),
          toNet: ratio(rates(key, point), rates('net', point)),
          ours: ratio(rates('micrograft', point), rates(key, point)),
          oursP99: ratio(p99s('micrograft', point), p99s(key, point)),
        }
      }),
      memory: {
        idleMB: megabytes(rounds.map(({ idle }) => idle.server?.rssBytes)),
        clientPeakMB: megabytes(rounds.map(({ end }) => end.client?.peakBytes)),
        serverPeakMB: megabytes(rounds.map(({ end }) => end.server?.peakBytes)),
      },
    }
  }
  return Object.fromEntries(variants.map((variant) => [variant.key, row(variant)]))
}

/** What micrograft is to reach of the bare echo, of the joined one, and of each framework. */
const least = { net: 1.15, joined: 0.75, framework: 1.2 }

function goalsOf(rows: Readonly<Record<string, Row>>): Goal[] {
  const goals: Goal[] = []
  for (const [point, count] of inFlight.entries()) {
    if (count === 1) continue
    for (const [key, { label, framework, at }] of Object.entries(rows)) {
      const limit = framework ? least.framework : least[key as 'net' | 'joined']
      const ours = at[point]?.ours.median
      if (limit !== undefined && ours !== undefined)
        goals.push(goal(`calls per second ÷ ${label}, ${count} in flight`, 'at least', limit, ours))
    }
    const frameworks = Object.values(rows).filter(({ framework }) => framework)
    if (frameworks.length === 0) continue
    const best = frameworks.reduce((a, b) => (p99Of(b, point) < p99Of(a, point) ? b : a))
    goals.push(
      goal(
        `p99 ÷ the best of the frameworks, ${best.label}, ${count} in flight`,
        'at most',
        1,
        best.at[point]?.oursP99.median ?? NaN,
      ),
    )
  }
  return goals
}

function p99Of({ at }: Row, point: number): number {
  return at[point]?.p99Ms.median ?? Infinity
}

function describe({ title, about }: Kind, rows: Readonly<Record<string, Row>>): string {
  const list = Object.values(rows)
  const optional = (value: number | undefined) => (value === undefined ? '' : number(value))
  const each = (of: (at: At) => readonly string[]) =>
    list.map(({ label, at }) => [label].concat(at.flatMap(of)))
  const head = (...names: readonly string[]) => [
    '',
    ...inFlight.flatMap((count) => names.map((name) => `${name}, ${count} in flight`)),
  ]
  const failed = list.filter(({ at }) => at.some((each) => each.failed > 0))
  return `## ${title}

${about}

### Calls per second, and over the bare echo

${table(
  head('calls/s', '÷ bare'),
  each(({ perSecond, toNet }) => [number(perSecond.median), spread(toNet)]),
)}

### What micrograft does, over each

${table(
  head('calls/s ÷', 'p99 ÷'),
  each(({ ours, oursP99 }) => [spread(ours), number(oursP99.median)]),
)}

### Milliseconds for a call

${table(
  head('p50', 'p99'),
  each(({ p50Ms, p99Ms }) => [number(p50Ms.median), number(p99Ms.median)]),
)}

### Microseconds of processor time for a call, and memory

Resident memory in MB: of the server before its first call, and of both sides at the most.

${table(
  [
    '',
    ...['client', 'server'].flatMap((side) =>
      inFlight.slice(1).map((count) => `${side}, ${count} in flight`),
    ),
    'idle',
    'client, most',
    'server, most',
  ],
  list.map(({ label, at, memory }) => {
    const cpu = (['clientCpuUs', 'serverCpuUs'] as const).map((side) => at.slice(1).map((each) => each[side]))
    const used = [cpu.flat(), memory.idleMB, memory.clientPeakMB, memory.serverPeakMB].flat()
    return [label].concat(used.map(optional))
  }),
)}
${failed.map(({ label, at }) => `\nOf ${label}, ${at.reduce((sum, each) => sum + each.failed, 0)} calls of all rounds got no answer and ended at their deadline.\n`).join('')}`
}
