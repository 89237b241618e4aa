// Puts the figures of the last benchmarks into README.md, between their marks; with --check it only
// looks whether they are there. Without results there is nothing between the marks.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { number, table } from '../bench/dist/markdown.js'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const suites = { plugin: pluginFigures, swap: swapFigures }

const text = readFileSync(at('README.md'), 'utf8')
let filled = text
for (const [name, figures] of Object.entries(suites)) {
  const marks = new RegExp(`(<!-- bench:${name} -->\\n)([^]*?)(<!-- /bench:${name} -->)`)
  if (!marks.test(filled)) throw new Error(`README.md has no place for the figures of bench:${name}`)
  const path = `bench/results/${name}.json`
  const results = existsSync(at(path)) ? JSON.parse(readFileSync(at(path), 'utf8')) : undefined
  if (results?.quick) throw new Error(`${path} is of a quick run, whose figures are worth nothing`)
  filled = filled.replace(marks, (_, begin, _old, end) => begin + (results ? figures(results) : '') + end)
}
if (process.argv[2] !== '--check') writeFileSync(at('README.md'), filled)
else if (text === filled) console.log('they are those of the last results')
else {
  console.error('README.md does not have the figures of bench/results; run node tools/readme-figures.mjs')
  process.exitCode = 1
}

function swapFigures({ machine: { cpu, cores, node }, date, goals }) {
  const rows = goals.map(({ what, is, limit, value, reached }) => [
    what,
    `${is === 'at least' ? '≥' : '≤'} ${Number.isInteger(limit) ? limit : number(limit)}`,
    Number.isInteger(value) ? String(value) : number(value),
    reached ? 'yes' : 'no',
  ])
  return `
${table(['', 'to reach', 'measured', 'reached'], rows)}

One machine (${cpu}, ${cores} cores, Node ${node}, ${date}); type by type, and how it was measured: [bench/results/swap.md](bench/results/swap.md).

![Latency over time, with the swaps marked](bench/results/swap.svg)

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
