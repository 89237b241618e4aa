import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { machine, type Machine } from '../machine.js'
import { table } from '../markdown.js'
import { otherNodes } from '../nodes.js'
import { writeResults } from '../results.js'
import type { RunOptions, Suite } from '../suite.js'
import { describeBuild, measureBuild } from './build.js'
import { describeCalls, measureCalls } from './calls.js'
import type { Context } from './context.js'
import { describeGo, measureGo } from './go.js'
import { describeLeaks, measureLeaks } from './leaks.js'
import { describeOpen, measureOpen } from './open.js'
import { describeStall, measureStall } from './stall.js'
import { describeShortfalls, describeTargets, targets } from './targets.js'

const parts = ['build', 'open', 'stall', 'calls', 'go', 'leaks'] as const

export const pluginSuite: Suite = {
  about: 'plugin files: building, opening, calling and closing them',
  parts,
  run,
}

const fullRounds = 11

async function run({ quick, only, out, command }: RunOptions): Promise<void> {
  const began = performance.now()
  const on = machine()
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-bench-')))
  const context: Context = {
    folder,
    rounds: quick ? 1 : fullRounds,
    quick,
    hasGo: on.go !== undefined,
    say: (text) => console.log(text),
  }
  const asked = (part: (typeof parts)[number]) => only.length === 0 || only.includes(part)
  try {
    const build = asked('build') ? await measureBuild(context) : undefined
    const open = asked('open') ? await measureOpen(context) : undefined
    const stall = asked('stall') ? await measureStall(context) : undefined
    const calls = asked('calls') ? await measureCalls(context) : undefined
    const go = asked('go') && context.hasGo ? await measureGo(context) : undefined
    const leaks = asked('leaks') ? await measureLeaks(context) : undefined
    const reached = targets({ build, open, stall, leaks })
    const minutes = (performance.now() - began) / 60_000
    const date = new Date().toISOString().slice(0, 10)
    const sections = [
      describeTargets(reached),
      describeShortfalls({ open, stall, leaks }, reached),
      build && describeBuild(build),
      open && describeOpen(open),
      stall && describeStall(stall),
      calls && describeCalls(calls),
      asked('go') && describeGo(go),
      leaks && describeLeaks(leaks),
    ].filter((section) => typeof section === 'string')
    const otherVersions = (await otherNodes()).otherVersions
    const markdown = [introduction(on, otherVersions, { command, date, minutes, quick }), ...sections].join(
      '\n',
    )
    const data = {
      suite: 'plugin',
      command,
      date,
      quick,
      rounds: context.rounds,
      minutes,
      machine: { ...on, otherNodes: otherVersions },
      targets: reached,
      build,
      open,
      stall,
      calls,
      go,
      leaks,
    }
    if (out !== undefined) writeResults(out, 'plugin', data, markdown)
    console.log(`\n${out === undefined ? markdown : describeTargets(reached)}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function introduction(
  { cpu, cores, memoryGiB, system, node, v8, go }: Machine,
  otherVersions: readonly string[],
  run: { readonly command: string; readonly date: string; readonly minutes: number; readonly quick: boolean },
): string {
  const rows = [
    ['processor', `${cpu}, ${cores} cores`],
    ['memory', `${memoryGiB} GiB`],
    ['system', system],
    [
      'Node',
      `${node} (V8 ${v8}); memory also on ${otherVersions.filter((each) => each !== node).join(' and ')}`,
    ],
    ['Go', go ?? 'not installed'],
    ['date', run.date],
    ['command', `\`${run.command}\``],
    ['took', `${Math.round(run.minutes)} minutes`],
  ]
  return `# Plugin files, measured
${run.quick ? '\n**A quick run: it shows that the suite works, and its figures are worth nothing.**\n' : ''}
${table(['', ''], rows)}

Figures are the median of ${run.quick ? 1 : fullRounds} rounds, with the lowest and the highest in parentheses. In each round every variant runs once, in a process of its own, and each round begins with another one. A ratio is taken within each round, and the median of these is given: so it need not be the quotient of the two medians beside it. How each thing is measured, and what makes the comparison fair, is in [bench/README.md](../README.md); every sample is in [plugin.json](plugin.json).
`
}
