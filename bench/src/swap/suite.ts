import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeGoals, goal, type Goal } from '../goals.js'
import { machine } from '../machine.js'
import { table } from '../markdown.js'
import { writeResults } from '../results.js'
import type { RunOptions, Suite } from '../suite.js'
import { describeLatency, measureLatency, type LatencyResult } from './latency.js'
import { buildPluginFiles } from './plugin-files.js'
import { describeProof, proveAll, wrong, type ProofResult } from './proof.js'
import { timelineChart } from './timeline.js'

export const swapSuite: Suite = {
  about: 'every part of a service swapped under full load, and what callers feel of it',
  parts: ['proof', 'latency'],
  run,
}

const full = { swaps: 1000, early: 100, rounds: 5, seconds: 12 }
const short = { swaps: 6, early: 2, rounds: 1, seconds: 3 }

async function run({ quick, only, out, command }: RunOptions): Promise<void> {
  const on = machine()
  const shape = quick ? short : full
  const wanted = (part: string) => only.length === 0 || only.includes(part)
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-bench-')))
  try {
    const files = await buildPluginFiles(folder)
    console.log(`latency: ${shape.rounds} rounds with and without swaps`)
    const latency = wanted('latency') ? await measureLatency({ folder, files, ...shape }) : undefined
    console.log(`proof: ${shape.swaps} swaps of each type`)
    const proof = wanted('proof') ? await proveAll({ folder, files, ...shape }) : []
    const goals = [...latencyGoals(latency), ...proofGoals(proof, shape.early)]
    const date = new Date().toISOString().slice(0, 10)
    const head = [
      ['processor', `${on.cpu}, ${on.cores} cores`],
      ['memory', `${on.memoryGiB} GiB`],
      ['system', on.system],
      ['Node', `${on.node} (V8 ${on.v8})`],
      ['date', date],
      ['command', `\`${command}\``],
    ]
    const markdown = [
      `# Swaps, measured\n${quick ? '\n**A quick run: it shows that the suite works, and its figures are worth nothing.**\n' : ''}\n${table(['', ''], head)}\n`,
      describeGoals(goals),
      ...(latency ? [describeLatency(latency)] : []),
      ...(proof.length > 0 ? [describeProof(proof, shape.early)] : []),
    ].join('\n')
    if (out !== undefined) {
      const { timeline, ...figures } = latency ?? { timeline: undefined }
      const data = { suite: 'swap', command, date, quick, machine: on, goals, latency: figures, proof }
      writeResults(out, 'swap', data, markdown)
      if (timeline) await writeFile(join(out, 'swap.svg'), timelineChart(timeline))
    }
    console.log(`\n${markdown}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function latencyGoals(latency: LatencyResult | undefined): Goal[] {
  if (!latency) return []
  return [
    goal('p99 with a swap of 190 KB every 2 s ÷ p99 without', 'at most', 1.2, latency.p99Ratio.median),
    goal('longest stall of the event loop by such swaps, ms', 'at most', 15, latency.stallWith.median),
  ]
}

function proofGoals(proof: readonly ProofResult[], early: number): Goal[] {
  if (proof.length === 0) return []
  const sum = (of: (each: ProofResult) => number) => proof.reduce((total, each) => total + of(each), 0)
  const heap = Math.max(...proof.map((each) => each.late.heapUsed / each.early.heapUsed))
  const descriptors = Math.max(
    ...proof.map(({ early: a, late: b }) => (b.descriptors ?? 0) - (a.descriptors ?? 0)),
  )
  const swaps = sum((each) => each.swaps)
  return [
    goal(
      `requests and messages lost, doubled or failed in ${swaps.toLocaleString('en-US')} swaps`,
      'at most',
      0,
      sum(({ outcome }) => wrong(outcome)),
    ),
    goal(`heap after all swaps of a type ÷ after ${early}, the worst type`, 'at most', 1.1, heap),
    goal('file descriptors more than then, the worst type', 'at most', 2, descriptors),
  ]
}
