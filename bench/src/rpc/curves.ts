import { lineChart } from '../chart.js'
import { number, table } from '../markdown.js'
import type { PairLoad } from '../pairs/pair.js'
import { loadAt, measurePairs, perSecond, type LoadPoint } from '../pairs/rounds.js'
import * as all from '../pairs/variants.js'
import type { Run, Section } from '../sections.js'
import { figure } from '../statistics.js'

/** How something grows. */
interface Curve {
  readonly title: string
  readonly x: string
  /** In the names of files. */
  readonly key: string
  readonly points: readonly LoadPoint[]
  readonly at: (point: LoadPoint) => number
}

const counts = [1, 4, 16, 64, 256, 1024]
const sizes = [100, 1000, 10_000, 100_000, 500_000]

export const curves: Readonly<Record<'in-flight' | 'payload', Curve>> = {
  'in-flight': {
    title: 'Against calls in flight: 100 bytes of JSON',
    x: 'calls in flight',
    key: 'in-flight',
    points: counts.map((inFlight) => ({ inFlight, bytes: 100 })),
    at: ({ inFlight }) => inFlight,
  },
  payload: {
    title: 'Against the payload: 16 calls in flight',
    x: 'bytes of JSON, each way',
    key: 'payload',
    points: sizes.map((bytes) => ({ inFlight: 16, bytes })),
    at: ({ bytes }) => bytes,
  },
}

const compared = [all.micrograft, all.net, all.joined, all.nest, all.moleculerTcp, all.fastify, all.grpc]

export async function measureCurve(run: Run, curve: Curve): Promise<Section> {
  const variants = run.possible(compared)
  run.say(curve.title)
  // A plot needs its shape, not the third digit of its points.
  const shorter = { ...run, ms: run.ms * 0.6 }
  // Moleculer takes no packet of more than 1 MiB, its own envelope included.
  const points = run.quick ? curve.points.slice(0, 3) : curve.points
  const measured = await measurePairs(shorter, variants, (pair) => loadAt(shorter, pair, points))
  const lines = variants.map(({ key, label }) => {
    const rounds = measured[key] ?? []
    return {
      label,
      key,
      points: points.map((point, i) => ({
        x: curve.at(point),
        perSecond: figure(rounds.map(({ value }) => perSecond(value[i] as PairLoad))),
        p99Ms: figure(rounds.map(({ value }) => (value[i] as PairLoad).p99)),
      })),
    }
  })
  const chart = (y: string, of: (point: (typeof lines)[number]['points'][number]) => number) =>
    lineChart({
      title: curve.title,
      x: curve.x,
      y,
      logY: true,
      series: lines.map(({ label, key, points }) => ({
        label: label
          .replaceAll('`', '')
          .replace('the writes of a tick joined', 'joined')
          .replace('a write for each message', 'plain'),
        main: key === 'micrograft',
        points: points.map((point) => [point.x, of(point)] as const),
      })),
    })
  const throughput = `${curve.key}-throughput`
  const p99 = `${curve.key}-p99`
  const rows = (of: (point: (typeof lines)[number]['points'][number]) => number) =>
    table(
      ['', ...points.map((point) => number(curve.at(point)))],
      lines.map(({ label, points }) => [label].concat(points.map((point) => number(of(point))))),
    )
  return {
    data: lines,
    markdown: `## ${curve.title}

![Calls per second](rpc-${throughput}.svg)

${rows((point) => point.perSecond.median)}

![99th percentile](rpc-${p99}.svg)

${rows((point) => point.p99Ms.median)}
`,
    charts: {
      [throughput]: chart('calls per second', (point) => point.perSecond.median),
      [p99]: chart('99th percentile of a call, ms', (point) => point.p99Ms.median),
    },
  }
}
