// Puts the figures of the last benchmarks into README.md, between their marks; with --check it only
// looks whether they are there. Without results there is nothing between the marks.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { number, table } from '../bench/dist/markdown.js'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
/** What is put where, and the suites whose results it takes. */
const places = {
  rpc: { of: ['rpc'], figures: rpcFigures },
  more: { of: ['local', 'costs', 'startup'], figures: moreFigures },
  engines: { of: ['engines'], figures: engineFigures },
  plugin: { of: ['plugin'], figures: pluginFigures },
  swap: { of: ['swap'], figures: swapFigures },
}

const text = readFileSync(at('README.md'), 'utf8')
let filled = text
for (const [name, { of, figures }] of Object.entries(places)) {
  const marks = new RegExp(`(<!-- bench:${name} -->\\n)([^]*?)(<!-- /bench:${name} -->)`)
  if (!marks.test(filled)) throw new Error(`README.md has no place for the figures of bench:${name}`)
  const results = of.map(read).filter((each) => each !== undefined)
  filled = filled.replace(
    marks,
    (_, begin, _old, end) => begin + (results.length > 0 ? figures(...results) : '') + end,
  )
}
if (process.argv[2] !== '--check') writeFileSync(at('README.md'), filled)
else if (text === filled) console.log('they are those of the last results')
else {
  console.error('README.md does not have the figures of bench/results; run node tools/readme-figures.mjs')
  process.exitCode = 1
}

function read(suite) {
  const path = `bench/results/${suite}.json`
  if (!existsSync(at(path))) return undefined
  const results = JSON.parse(readFileSync(at(path), 'utf8'))
  if (results.quick) throw new Error(`${path} is of a quick run, whose figures are worth nothing`)
  return { suite, ...results }
}

/** Goals of a suite, whichever way it writes them down. */
function goalRows({ goals, targets }) {
  return (goals ?? targets).map(({ what, is, atMost, limit = atMost, value, reached }) => [
    what,
    `${is === 'at least' ? '≥' : '≤'} ${Number.isInteger(limit) ? limit : number(limit)}`,
    Number.isInteger(value) ? String(value) : number(value),
    reached ? 'yes' : 'no',
  ])
}

function place({ machine: { cpu, cores, node }, date }) {
  return `${cpu}, ${cores} cores, Node ${node}, ${date}`
}

function swapFigures(results) {
  return `
${table(['', 'to reach', 'measured', 'reached'], goalRows(results))}

One machine (${place(results)}); type by type, and how it was measured: [bench/results/swap.md](bench/results/swap.md).

![Latency over time, with the swaps marked](bench/results/swap.svg)

`
}

/** Everybody's calls per second with 64 and 256 in flight, and over whose p99 ours is how much. */
function rpcFigures(results) {
  const rows = Object.entries(results.small).map(([key, { label, at }]) =>
    [key === 'micrograft' ? `**${label}**` : label].concat(
      at
        .filter(({ inFlight }) => inFlight > 1)
        .flatMap(({ perSecond, ours, p99Ms }) => [
          number(perSecond.median),
          key === 'micrograft' ? '' : number(ours.median),
          number(p99Ms.median),
        ]),
    ),
  )
  const heads = [64, 256].flatMap((count) => [`calls/s, ${count} in flight`, 'Micrograft ÷ this', 'p99, ms'])
  return `
${table(['', ...heads], rows)}

A record of 100 bytes of JSON there and back between two processes, with everything on that a service has: choosing a node, deadline, metadata, slots. Medians of ${results.rounds} rounds on one machine (${place(results)}). Processor time, memory and what was to be reached are in [bench/results/rpc.md](bench/results/rpc.md); how each is made fair, in [bench/README.md](bench/README.md).

![Calls per second against calls in flight](bench/results/rpc-in-flight-throughput.svg)

`
}

function moreFigures(...suites) {
  const rows = suites.flatMap((results) =>
    goalRows(results).map(([what, ...rest]) => [`[${what}](bench/results/${results.suite}.md)`].concat(rest)),
  )
  return `
${table(['', 'to reach', 'measured', 'reached'], rows)}

`
}

/** What goes through each engine's plugin, over what goes through its own library. */
function engineFigures({ brokers, stores, rounds, machine, date }) {
  const ratio = ({ ratio: { median } }) => number(median)
  const brokerRows = brokers.map(({ label, library, figures: { perSecond } }) => [
    label,
    `\`${library}\``,
    number(perSecond.plugin.median),
    ratio(perSecond),
  ])
  const labels = [...new Set(stores.map(({ label }) => label))]
  const storeRows = labels.map((label) => {
    const own = stores.filter((each) => each.label === label)
    return [label, `\`${own[0].library}\``, ...own.map(({ figures }) => ratio(figures))]
  })
  const kinds = stores.filter(({ label }) => label === labels[0]).map(({ what }) => what)
  return `
${table(['broker', 'its library', 'messages/s through the plugin', 'plugin ÷ library'], brokerRows)}

${table(['store, plugin ÷ library', 'its library', ...kinds], storeRows)}

At least 0.8 was to be reached. Medians of ${rounds} rounds (${place({ machine, date })}); latencies, registries and what each side does are in [bench/results/engines.md](bench/results/engines.md) and [bench/README.md](bench/README.md).

`
}

function pluginFigures({ machine, date, rounds, targets, calls }) {
  const { direct, handleSwapped } = calls.calls
  const ns = `${number(handleSwapped.ns.median)} ns and ${number(direct.ns.median)} ns`
  const rows = [
    [
      `call through a handle that was swapped ÷ direct call (${ns})`,
      '',
      number(handleSwapped.toDirect.median),
      '',
    ],
    ...targets.map(({ what, atMost, value, reached }) => [
      what,
      `≤ ${number(atMost)}`,
      number(value),
      reached ? 'yes' : 'no',
    ]),
  ]
  const { cpu, cores, node } = machine
  return `
Medians of ${rounds} rounds on one machine (${cpu}, ${cores} cores, Node ${node}, ${date}); how they came about, and everything else that was measured, is in [bench/results/plugin.md](bench/results/plugin.md).

${table(['', 'to reach', 'measured', 'reached'], rows)}

`
}
