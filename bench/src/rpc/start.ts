import { spread, table } from '../markdown.js'
import { Pair } from '../pairs/pair.js'
import { payloadOf } from '../pairs/payloads.js'
import * as all from '../pairs/variants.js'
import type { Variant } from '../pairs/variants.js'
import { interleave } from '../rounds.js'
import type { Run, Section } from '../sections.js'
import { figure } from '../statistics.js'

const compared = [
  all.micrograft,
  all.net,
  all.nest,
  all.moleculerTcp,
  all.moleculerNats,
  all.fastify,
  all.grpc,
  all.connectHttp1,
  all.goMucp,
  all.goGrpc,
]

interface Started {
  /** Until the server said where it is. */
  readonly readyMs: number
  /** Until a client, started then, had its first answer. */
  readonly answerMs: number
}

/** Start-up: a server until it listens, and a server and then a client until the first answer. */
export async function measureStart(run: Run): Promise<Section> {
  const variants = run.possible(compared)
  run.say(`start: ${variants.map(({ label }) => label).join(', ')}`)
  // Starts are short: more of them make up for their spread.
  const measured = await interleave(
    run.quick ? 1 : run.rounds * 2,
    Object.fromEntries(variants.map((variant) => [variant.key, () => started(run, variant)])),
  )
  const rows = variants.map(({ key, label }) => ({
    key,
    label,
    readyMs: figure((measured[key] ?? []).map(({ readyMs }) => readyMs)),
    answerMs: figure((measured[key] ?? []).map(({ answerMs }) => answerMs)),
  }))
  return {
    data: rows,
    markdown: `## Start-up

From the start of a server’s process until it says where it can be reached; and until a client’s process, started at that moment, has had one answer and said so. Both sides load what they need.

${table(
  ['', 'server ready, ms', 'first answer, ms'],
  rows.map(({ label, readyMs, answerMs }) => [label, spread(readyMs), spread(answerMs)]),
)}
`,
  }
}

async function started(run: Run, variant: Variant): Promise<Started> {
  const began = performance.now()
  let readyMs = 0
  await using pair = await Pair.start(
    variant,
    { folder: run.folder, around: run.around },
    () => (readyMs = performance.now() - began),
  )
  await pair.load(payloadOf(100), 1, 1)
  return { readyMs, answerMs: performance.now() - began }
}
