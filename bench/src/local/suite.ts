import { runChild } from '../child.js'
import { goal } from '../goals.js'
import { number, spread, table } from '../markdown.js'
import { moleculerTcp } from '../pairs/variants.js'
import { interleave } from '../rounds.js'
import { sectioned, type Run, type Section } from '../sections.js'
import { figure, ratio } from '../statistics.js'
import type { Suite } from '../suite.js'
import type { LocalInput, LocalOutput, LocalVariant } from './local-child.js'

export const localSuite: Suite = sectioned({
  name: 'local',
  title: 'Calls within a process',
  about: 'a service that calls itself, beside Moleculer’s local call, and what a slot adds',
  peers: true,
  parts: { calls: measureCalls },
})

const child = new URL('local-child.js', import.meta.url)
const loops = [1, 64]

const labels: Readonly<Record<LocalVariant, string>> = {
  function: 'an asynchronous function',
  micrograft: 'micrograft: a service calls its own endpoint',
  moleculer: 'Moleculer: `broker.call` of a local action',
  'micrograft async': 'micrograft: the handler is an asynchronous function',
  'moleculer async': 'Moleculer: the handler is an asynchronous function',
  'micrograft slot': 'micrograft: the handler is of a plugin, in a slot',
  component: 'micrograft: a component, called without its slot',
  slot: 'micrograft: the same component, called through its slot',
}

const handlers = [
  ['handled at once', ''],
  ['handled by an asynchronous function', ' async'],
] as const

/** Least that micrograft does of what Moleculer does, and the most that a slot multiplies the time of a call by. */
const leastOfMoleculer = 2
const mostOfSlot = 1.1

async function measureCalls(run: Run): Promise<Section> {
  const there = (Object.keys(labels) as LocalVariant[]).filter(
    (variant) => !variant.startsWith('moleculer') || run.possible([moleculerTcp]).length > 0,
  )
  run.say(`calls: ${there.join(', ')}`)
  const measured = await interleave(
    run.rounds,
    Object.fromEntries(
      there.map((variant) => [
        variant,
        () => runChild<LocalOutput>(child, { variant, ms: run.ms, loops } satisfies LocalInput),
      ]),
    ),
  )
  const rates = (variant: LocalVariant, point: number) =>
    (measured[variant] ?? []).map((each) => each[point] as number)
  const rows = there.map((variant) => ({
    variant,
    label: labels[variant],
    at: loops.map((count, point) => ({
      loops: count,
      perSecond: figure(rates(variant, point)),
      ns: figure(rates(variant, point).map((rate) => 1e9 / rate)),
      ours: ratio(rates('micrograft', point), rates(variant, point)),
    })),
  }))
  const perCall = (variant: LocalVariant) => rates(variant, 0).map((rate) => 1 / rate)
  const slotFactor = ratio(perCall('micrograft slot'), perCall('micrograft'))
  const goals = [
    goal('time of a local call through a slot ÷ without', 'at most', mostOfSlot, slotFactor.median),
  ]
  if (there.includes('moleculer')) {
    for (const [handler, suffix] of handlers) {
      for (const [point, count] of loops.entries())
        goals.push(
          goal(
            `local calls per second ÷ Moleculer’s, ${handler}, ${count} at a time`,
            'at least',
            leastOfMoleculer,
            ratio(rates(`micrograft${suffix}`, point), rates(`moleculer${suffix}`, point)).median,
          ),
        )
    }
  }
  return {
    data: { rows, slotFactor },
    goals,
    markdown: `## Calls within a process

An object is given, and the same object comes back; nothing is on a wire. The asynchronous function does just that, and is what cannot be passed. A call of micrograft has a deadline, metadata and a signal, and goes to the version of the handlers that calls go to at the moment; middleware of both sides would go around it. A component is what sits in a slot: a client that has its answer at once.

${table(
  ['', ...loops.flatMap((count) => [`calls/s, ${count} at a time`, 'ns', 'micrograft ÷ this'])],
  rows.map(({ label, at }) =>
    [label].concat(
      at.flatMap(({ perSecond, ns, ours }) => [number(perSecond.median), number(ns.median), spread(ours)]),
    ),
  ),
)}

A local call to a handler in a slot takes ${spread(slotFactor)} × the time of one to a handler in code.
`,
  }
}
