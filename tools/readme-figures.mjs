// Puts the figures of the last benchmark into README.md, between its marks; with --check it only
// looks whether they are there. Without results there is nothing between the marks.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { number, table } from '../bench/dist/markdown.js'

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const results = 'bench/results/plugin'
const marks = /(<!-- bench:plugin -->\n)([^]*?)(<!-- \/bench:plugin -->)/

const text = readFileSync(at('README.md'), 'utf8')
if (!marks.test(text)) throw new Error('README.md has no place for the figures of bench:plugin')
const filled = text.replace(marks, (_, begin, _old, end) => begin + figures() + end)
if (process.argv[2] !== '--check') writeFileSync(at('README.md'), filled)
else if (text !== filled) {
  console.error(`README.md does not have the figures of ${results}.json; run node tools/readme-figures.mjs`)
  process.exitCode = 1
} else {
  console.log(
    existsSync(at(`${results}.json`)) ? 'they are those of the last results' : 'there are no results yet',
  )
}

function figures() {
  if (!existsSync(at(`${results}.json`))) return ''
  const { quick, machine, date, rounds, targets, calls } = JSON.parse(
    readFileSync(at(`${results}.json`), 'utf8'),
  )
  if (quick) throw new Error(`${results}.json is of a quick run, whose figures are worth nothing`)
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
Medians of ${rounds} rounds on one machine (${cpu}, ${cores} cores, Node ${node}, ${date}); how they came about, and everything else that was measured, is in [${results}.md](${results}.md).

${table(['', 'to reach', 'measured', 'reached'], rows)}

`
}
