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
  component: 'micrograft: a component, called without its slot',
  slot: 'micrograft: the same component, called through its slot',
}

/** Least that micrograft does of what Moleculer does, and the most that a slot has of a local call. */
const leastOfMoleculer = 2
const mostOfCall = 0.1

async function measureCalls(run: Run): Promise<Section> {
  const there = (Object.keys(labels) as LocalVariant[]).filter(
    (variant) => variant !== 'moleculer' || run.possible([moleculerTcp]).length > 0,
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
  /** What the slot adds, of what a whole call takes, round by round. */
  const slotPart = figure(
    rates('slot', 0).map(
      (rate, round) =>
        (1 / rate - 1 / (rates('component', 0)[round] as number)) * (rates('micrograft', 0)[round] as number),
    ),
  )
  const moleculer = rows.find(({ variant }) => variant === 'moleculer')
  return {
    data: { rows, slotPart },
    goals: [
      ...(moleculer?.at ?? []).map(({ loops, ours }) =>
        goal(
          `local calls per second ÷ Moleculer’s, ${loops} at a time`,
          'at least',
          leastOfMoleculer,
          ours.median,
        ),
      ),
      goal('what a slot has of the time of a local call', 'at most', mostOfCall, slotPart.median),
    ],
    markdown: `## Calls within a process

An object is given, and comes back; nothing is on a wire. The asynchronous function does just that, and is what cannot be passed. A call of micrograft goes through choosing, deadline, codec and middleware of both sides, as one to another process does, so the handler gets a copy; Moleculer hands the same object on.

${table(
  ['', ...loops.flatMap((count) => [`calls/s, ${count} at a time`, 'ns', 'micrograft ÷ this'])],
  rows.map(({ label, at }) =>
    [label].concat(
      at.flatMap(({ perSecond, ns, ours }) => [number(perSecond.median), number(ns.median), spread(ours)]),
    ),
  ),
)}

A slot has ${spread({ ...slotPart, median: slotPart.median * 100, min: slotPart.min * 100, max: slotPart.max * 100 })} % of the time of a local call.
`,
  }
}
