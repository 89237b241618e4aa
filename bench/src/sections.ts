import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeGoals, type Goal } from './goals.js'
import { machine } from './machine.js'
import { table } from './markdown.js'
import { isThere, noPeers, preparePeers, type Surroundings } from './pairs/peers.js'
import type { Variant } from './pairs/variants.js'
import { writeResults } from './results.js'
import type { RunOptions, Suite } from './suite.js'

/** What each part of a suite measures with. */
export interface Run {
  /** A temporary folder; it goes when the run ends. */
  readonly folder: string
  readonly around: Surroundings
  readonly quick: boolean
  readonly rounds: number
  /** How long one figure of one round is measured, and how long a process warms up before, in milliseconds. */
  readonly ms: number
  readonly warmUpMs: number
  readonly say: (text: string) => void
  /** Those whose packages and programs are there. */
  readonly possible: (variants: readonly Variant[]) => readonly Variant[]
}

/** What a part of a suite gives to its report. */
export interface Section {
  readonly data: unknown
  readonly markdown: string
  readonly goals?: readonly Goal[] | undefined
  /** SVG by the name of its file, without the suite's. */
  readonly charts?: Readonly<Record<string, string>> | undefined
}

export interface SectionedSuite {
  readonly name: string
  readonly title: string
  readonly about: string
  /** Whether anything of another project is measured. */
  readonly peers: boolean
  readonly parts: Readonly<Record<string, (run: Run) => Promise<Section>>>
}

const fullRounds = 5
const fullMs = 1000

/** A suite whose report is a section for each of its parts. */
export function sectioned(suite: SectionedSuite): Suite {
  return {
    about: suite.about,
    parts: Object.keys(suite.parts),
    run: (options) => runSections(suite, options),
  }
}

async function runSections(suite: SectionedSuite, { quick, only, out, command }: RunOptions): Promise<void> {
  const began = performance.now()
  // For who changes something and wants to see what it does: shorter, and of no worth for a report.
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? (quick ? 1 : fullRounds))
  const ms = Number(process.env['BENCH_MS'] ?? (quick ? 60 : fullMs))
  const tried = rounds < fullRounds || ms < fullMs
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-bench-')))
  const say = (text: string) => console.log(text)
  const around = quick || !suite.peers ? noPeers : await preparePeers(say)
  const possible = (variants: readonly Variant[]) => variants.filter((each) => isThere(each, around))
  const run: Run = { folder, around, quick, rounds, ms, warmUpMs: quick ? 30 : ms, say, possible }
  try {
    const sections: Record<string, Section> = {}
    for (const [part, measure] of Object.entries(suite.parts)) {
      if (only.length > 0 && !only.includes(part)) continue
      try {
        sections[part] = await measure(run)
      } catch (error) {
        // What the other parts took an hour to find is not lost for it.
        console.error(error)
        process.exitCode = 1
        sections[part] = { data: undefined, markdown: `## ${part}\n\nNot measured: it failed.\n` }
      }
    }
    const goals = Object.values(sections).flatMap((each) => each.goals ?? [])
    const minutes = (performance.now() - began) / 60_000
    const date = new Date().toISOString().slice(0, 10)
    const on = machine()
    const head = [
      ['processor', `${on.cpu}, ${on.cores} cores`],
      ['memory', `${on.memoryGiB} GiB`],
      ['system', on.system],
      ['Node', `${on.node} (V8 ${on.v8})`],
      ['Go', on.go ?? 'not installed'],
      ...(suite.peers ? [['compared with', versionsText(around)]] : []),
      ['date', date],
      ['command', `\`${command}\``],
      ['took', `${Math.max(1, Math.round(minutes))} minutes`],
    ]
    const markdown = [
      `# ${suite.title}, measured
${tried ? '\n**A short run: it shows that the suite works, and its figures are worth nothing.**\n' : ''}
${table(['', ''], head)}

Figures are the median of ${rounds} rounds, with the lowest and the highest in parentheses where there is room. In each round every variant runs once, in processes of its own, and each round begins with another one. A ratio is taken within each round, and the median of these is given: so it need not be the quotient of the two medians beside it. How each is made fair is in [bench/README.md](../README.md); every sample is in [${suite.name}.json](${suite.name}.json).
`,
      describeGoals(goals),
      ...Object.values(sections).map((each) => each.markdown),
    ]
      .filter((text) => text !== '')
      .join('\n')
    const data = {
      suite: suite.name,
      command,
      date,
      quick: tried,
      rounds,
      ms,
      minutes,
      machine: on,
      versions: around.versions,
      goals,
      ...Object.fromEntries(Object.entries(sections).map(([part, each]) => [part, each.data])),
    }
    if (out !== undefined) {
      writeResults(out, suite.name, data, markdown)
      writeCharts(out, suite.name, sections)
    }
    console.log(`\n${out === undefined ? markdown : describeGoals(goals)}`)
  } finally {
    await around[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  }
}

function versionsText({ versions }: Surroundings): string {
  const named = Object.entries(versions)
  return named.length === 0 ? 'nobody' : named.map(([name, version]) => `${name} ${version}`).join(', ')
}

function writeCharts(folder: string, suite: string, sections: Readonly<Record<string, Section>>): void {
  mkdirSync(folder, { recursive: true })
  for (const { charts = {} } of Object.values(sections))
    for (const [name, svg] of Object.entries(charts)) writeFileSync(join(folder, `${suite}-${name}.svg`), svg)
}
