import { lineChart } from '../chart.js'
import { goal, type Goal } from '../goals.js'
import { number, spread, table } from '../markdown.js'
import type { MicrograftSettings } from '../pairs/micrograft.js'
import type { PairLoad } from '../pairs/pair.js'
import { loadAt, measurePairs, perSecond } from '../pairs/rounds.js'
import { micrograft, net, type Variant } from '../pairs/variants.js'
import { sectioned, type Run, type Section } from '../sections.js'
import { figure, ratio } from '../statistics.js'
import type { Suite } from '../suite.js'

/** What is added, and what a call costs with it. */
interface Cost {
  readonly title: string
  readonly about: string
  /** The first is what the others are compared with. */
  readonly variants: readonly (readonly [label: string, settings: MicrograftSettings])[]
  /** The bare echo beside them: what of that is the machine's. */
  readonly bare?: readonly (readonly [label: string, connections: number])[]
  readonly goals?: readonly { readonly label: string; readonly atMost: number; readonly what: string }[]
  /** Drawn against the number in the labels. */
  readonly chart?: { readonly key: string; readonly x: string; readonly labels: readonly string[] }
}

const costs: Readonly<Record<string, Cost>> = {
  middleware: {
    title: 'Middleware',
    about: 'Layers that do nothing but call the next one, around each call, as many on either side.',
    variants: [
      ['none', {}],
      ['1', { middleware: 1 }],
      ['5', { middleware: 5 }],
    ],
  },
  endpoints: {
    title: 'Endpoints',
    about: 'Endpoints of the service; the last of them is called.',
    variants: [
      ['1', {}],
      ['10', { endpoints: 10 }],
      ['100', { endpoints: 100 }],
    ],
  },
  nodes: {
    title: 'Nodes',
    about:
      'Nodes of the service in the registry, each with the address of the one process that answers: what choosing costs. With an address for each, the client also has a connection to each: calls that go to different connections share no read and no write, whoever makes them. The bare echo, which takes its connections in turn, shows what that costs by itself.',
    variants: [
      ['1', { nodes: 1 }],
      ['10', { nodes: 10 }],
      ['100', { nodes: 100 }],
      ['1,000', { nodes: 1000 }],
      ...(process.platform === 'linux'
        ? ([['1,000, a connection to each', { nodes: 1000, apart: 1 }]] as const)
        : []),
    ],
    bare: [
      ['`node:net`, one connection', 1],
      ['`node:net`, 1,000 connections', 1000],
    ],
    goals: [{ label: '1,000', atMost: 1.1, what: 'a call with 1,000 nodes ÷ with one' }],
    chart: { key: 'nodes', x: 'nodes of the service', labels: ['1', '10', '100', '1,000'] },
  },
  plugins: {
    title: 'Plugins',
    about: 'Plugin files that the server has loaded, none of which a call goes to.',
    variants: [
      ['1', { plugins: 1 }],
      ['10', { plugins: 10 }],
      ['100', { plugins: 100 }],
    ],
    chart: { key: 'plugins', x: 'plugin files loaded', labels: ['1', '10', '100'] },
  },
  swaps: {
    title: 'Swaps',
    about:
      'How often in a second the handlers that are called are swapped, from one plugin file to another; each file is read, verified and opened anew. A swap that takes longer than its turn has no other beside it.',
    variants: [
      ['0', { swaps: 0 }],
      ['0.5', { swaps: 500 }],
      ['1', { swaps: 1000 }],
      ['5', { swaps: 5000 }],
      ['20', { swaps: 20_000 }],
    ],
    chart: { key: 'swaps', x: 'swaps in a second', labels: ['0.5', '1', '5', '20'] },
  },
  slot: {
    title: 'The slot',
    about:
      'Calls by the rpc client alone, without choosing, trying again and middleware; JSON is written and read around it.',
    variants: [
      ['without the slot', { bare: 2 }],
      ['through its slot', { bare: 1 }],
    ],
    goals: [{ label: 'through its slot', atMost: 1.1, what: 'a call through a slot ÷ without' }],
  },
}

export const costsSuite: Suite = sectioned({
  name: 'costs',
  title: 'What adds to a call',
  about: 'a call with more middleware, endpoints, nodes, plugins and swaps, and without a slot',
  peers: false,
  parts: Object.fromEntries(
    Object.entries(costs).map(([name, cost]) => [name, (run: Run) => measure(run, cost)]),
  ),
})

const inFlight = [64, 256]

function variantOf(base: Variant, label: string, settings: Readonly<Record<string, number>>): Variant {
  return { ...base, key: label, label, settings }
}

async function measure(run: Run, cost: Cost): Promise<Section> {
  const variants = [
    ...cost.variants.map(([label, settings]) => variantOf(micrograft, label, { ...settings })),
    ...(cost.bare ?? []).map(([label, connections]) => variantOf(net, label, { connections })),
  ]
  run.say(`${cost.title}: ${variants.map(({ label }) => label).join(', ')}`)
  const points = inFlight.map((count) => ({ inFlight: count, bytes: 100 }))
  const measured = await measurePairs(run, variants, (pair) => loadAt(run, pair, points))
  const values = (key: string, point: number, of: (load: PairLoad) => number) =>
    (measured[key] ?? []).map(({ value }) => of(value[point] as PairLoad))
  const first = variants[0]?.key ?? ''
  const rows = variants.map(({ key, label }) => ({
    label,
    at: inFlight.map((count, point) => ({
      inFlight: count,
      perSecond: figure(values(key, point, perSecond)),
      p99Ms: figure(values(key, point, ({ p99 }) => p99)),
      /** Time that a call takes, over that of the first. */
      cost: ratio(values(first, point, perSecond), values(key, point, perSecond)),
    })),
  }))
  const goals: Goal[] = (cost.goals ?? []).flatMap(({ label, atMost, what }) =>
    (rows.find((row) => row.label === label)?.at ?? []).map((at) =>
      goal(`${what}, ${at.inFlight} in flight`, 'at most', atMost, at.cost.median),
    ),
  )
  const { chart } = cost
  const drawn = rows.filter(({ label }) => chart?.labels.includes(label))
  const draw = (y: string, of: (at: (typeof rows)[number]['at'][number]) => number) =>
    lineChart({
      title: `Against ${chart?.x}: 100 bytes of JSON`,
      x: chart?.x ?? '',
      y,
      series: inFlight.map((count, point) => ({
        label: `${count} in flight`,
        main: point === 0,
        points: drawn.map(
          ({ label, at }) => [Number(label.replace(',', '')), of(at[point] as never)] as const,
        ),
      })),
    })
  return {
    data: rows,
    goals,
    markdown: `## ${cost.title}

${cost.about}

${table(
  [
    '',
    ...inFlight.flatMap((count) => [`calls/s, ${count} in flight`, 'p99, ms', 'time of a call ÷ first row']),
  ],
  rows.map(({ label, at }) =>
    [label].concat(
      at.flatMap((each) => [number(each.perSecond.median), number(each.p99Ms.median), spread(each.cost)]),
    ),
  ),
)}
${chart ? `\n![Calls per second](costs-${chart.key}-throughput.svg)\n\n![99th percentile](costs-${chart.key}-p99.svg)\n` : ''}`,
    charts: chart && {
      [`${chart.key}-throughput`]: draw('calls per second', ({ perSecond }) => perSecond.median),
      [`${chart.key}-p99`]: draw('99th percentile of a call, ms', ({ p99Ms }) => p99Ms.median),
    },
  }
}
