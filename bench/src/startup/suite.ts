import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { machine } from '../machine.js'
import { number, table } from '../markdown.js'
import { describeTargets, type Target } from '../plugin/targets.js'
import { writeResults } from '../results.js'
import type { RunOptions, Suite } from '../suite.js'
import { describeAnswers, measureAnswers, type AnswerResult } from './answer.js'

export const startupSuite: Suite = {
  about: 'a service: from the start of its process to its first answer',
  parts: ['answer'],
  run,
}

const fullRounds = 15

/** More than a bare `node:http` server takes, in milliseconds. */
const mostOverHttp = 250

async function run({ quick, out, command }: RunOptions): Promise<void> {
  const on = machine()
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-bench-')))
  const rounds = quick ? 1 : fullRounds
  try {
    console.log('answer: node:http, and a service with and without a plugin')
    const answer = await measureAnswers({ folder, rounds })
    const reached = targets(answer)
    const date = new Date().toISOString().slice(0, 10)
    const head = [
      ['processor', `${on.cpu}, ${on.cores} cores`],
      ['memory', `${on.memoryGiB} GiB`],
      ['system', on.system],
      ['Node', `${on.node} (V8 ${on.v8})`],
      ['date', date],
      ['command', `\`${command}\``],
    ]
    const introduction = `# Start-up, measured
${quick ? '\n**A quick run: it shows that the suite works, and its figures are worth nothing.**\n' : ''}
${table(['', ''], head)}

Figures are the median of ${rounds} rounds, with the lowest and the highest in parentheses. In each round every variant runs once, in a process of its own, and each round begins with another one. A difference is taken within each round, and the median of these is given. Every sample is in [startup.json](startup.json).
`
    const markdown = [introduction, describeTargets(reached), describeAnswers(answer)].join('\n')
    const data = { suite: 'startup', command, date, quick, rounds, machine: on, targets: reached, answer }
    if (out !== undefined) writeResults(out, 'startup', data, markdown)
    console.log(`\n${out === undefined ? markdown : describeTargets(reached)}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function targets({ variants }: AnswerResult): Target[] {
  return [variants.small, variants.large].map(({ overHttp, pluginBytes = 0 }) => ({
    what: `first answer of a service with a plugin of ${number(pluginBytes / 1000)} KB, ms over node:http`,
    atMost: mostOverHttp,
    value: overHttp.median,
    reached: overHttp.median <= mostOverHttp,
    used: overHttp.median / mostOverHttp,
  }))
}
