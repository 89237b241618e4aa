import type { BuildResult } from './build.js'
import type { LeakResult } from './leaks.js'
import type { OpenResult } from './open.js'
import type { StallResult } from './stall.js'
import { number, table } from '../markdown.js'

/** A number of the design, and what became of it. */
export interface Target {
  readonly what: string
  /** The most that `value` may be. */
  readonly atMost: number
  readonly value: number
  readonly reached: boolean
  /** `value` over `atMost`: how much of the room is used, or by how much it is too small. */
  readonly used: number
}

export interface Measured {
  readonly build?: BuildResult | undefined
  readonly open?: readonly OpenResult[] | undefined
  readonly stall?: readonly StallResult[] | undefined
  readonly leaks?: readonly LeakResult[] | undefined
}

export function targets({ build, open = [], stall = [], leaks = [] }: Measured): Target[] {
  const list: Target[] = []
  const add = (what: string, atMost: number, value: number) =>
    list.push({ what, atMost, value, reached: value <= atMost, used: value / atMost })

  if (build?.go)
    add(
      'build of the seed’s example ÷ Go’s, in a process that has built before',
      1 / 30,
      build.go.apiToGo.median,
    )
  for (const { sample, bytes, variants } of open.filter(isOfTheSize)) {
    const label = (moment: string) => `${sample}, ${Math.round(bytes / 1000)} KB: open ÷ import(), ${moment}`
    add(label('no code cache, later'), 1, variants.plain.toImport.steady.median)
    add(label('no code cache, first in a process'), 1, variants.plain.toImport.first.median)
    add(label('code cache, later'), 0.5, variants.cached.toImport.steady.median)
    add(label('code cache, first in a process'), 0.5, variants.cached.toImport.first.median)
  }
  for (const { sample, variants } of stall.filter(isOfTheSize)) {
    add(`${sample}: longest stall, ms, no code cache`, 15, variants.plain.later.median)
    add(`${sample}: longest stall, ms, code cache`, 15, variants.cached.later.median)
  }
  for (const { node, cycles, bytes, loading, heapRatio } of leaks) {
    if (loading === 'plugin')
      add(
        `heap after ${number(cycles)} cycles of ${number(bytes / 1000)} KB ÷ after 100, Node ${node}`,
        1.1,
        heapRatio,
      )
  }
  return list
}

/** Why a number of each kind may not be reached, with what the run itself shows of it. */
export function describeShortfalls(
  { open = [], stall = [], leaks = [] }: Measured,
  list: readonly Target[],
): string | undefined {
  const missed = list.filter(({ reached }) => !reached)
  if (missed.length === 0) return undefined
  const reasons: string[] = []
  const smallest = open.find(({ sample }) => sample === 'small')?.variants
  if (smallest && missed.some(({ what }) => what.includes('first in a process'))) {
    const once = smallest.plain.first.median - smallest.plain.steady.median
    const onceImport = smallest.import.first.median - smallest.import.steady.median
    const pg = open.find(({ sample }) => sample === 'postgres')?.variants.import
    const builtins = pg
      ? ` \`pg\` also has Node compile its own network modules: with \`import()\` the first load takes ${number(pg.first.median - pg.steady.median)} ms longer than later ones, and nothing that opens it can spare them.`
      : ''
    reasons.push(
      `**First in a process.** The first \`open\` of a process takes ${number(once)} ms longer than later ones, whatever the file: V8 compiles the platform’s own functions, and OpenSSL and the file system layer are used for the first time. For the first \`import()\` that is ${number(onceImport)} ms, as its code comes with Node and the host’s own modules went that way already. It is paid once; from the second plugin on, *later* applies.${builtins}`,
    )
  }
  for (const { sample, variants } of open.filter(isOfTheSize)) {
    for (const [variant, how] of [
      ['plain', 'no code cache'],
      ['cached', 'code cache'],
    ] as const) {
      if (!missed.some(({ what }) => what.startsWith(sample) && what.endsWith(`${how}, later`))) continue
      const turn = stall.find((each) => each.sample === sample)?.variants[variant].later.median
      reasons.push(
        `**${sample}, ${how}, later.** ${
          turn === undefined
            ? ''
            : `Of ${number(variants[variant].steady.median)} ms, ${number(turn)} ms are the turn of the event loop in which V8 takes the code and the module code runs: opening cannot take less. `
        }The rest is the way to the disk and back, for the file and for the cache entry at once, SHA-256 over both, and decoding the text.`,
      )
    }
  }
  if (missed.some(({ what }) => what.startsWith('heap'))) {
    const settled = leaks
      .filter(({ loading }) => loading === 'plugin')
      .map(({ settledRatio }) => settledRatio)
    reasons.push(
      `**Heap.** The bare host has a heap of 5 to 7 MB, and V8’s compiled code of the platform’s functions comes to it in the first thousands of cycles. From a fifth of the cycles to the end the heap changes by a factor of ${number(Math.min(...settled))} to ${number(Math.max(...settled))}.`,
    )
  }
  if (missed.some(({ what }) => what.includes('stall'))) {
    reasons.push(
      '**Stall.** Compiling and running module code is one turn of the event loop, and cannot be divided.',
    )
  }
  return `## What was not reached, and why\n\n${reasons.join('\n\n')}\n`
}

/** The design speaks of files of 200 KB. */
function isOfTheSize({ bytes }: { readonly bytes: number }): boolean {
  return bytes > 180_000 && bytes < 220_000
}

export function describeTargets(list: readonly Target[]): string {
  const rows = list.map(({ what, atMost, value, reached, used }) => [
    what,
    `≤ ${number(atMost)}`,
    number(value),
    reached ? `yes, ${percent(1 - used)} below` : `no, ${percent(used - 1)} above`,
  ])
  return `## What was to be reached\n\n${table(['', 'to reach', 'measured', 'reached'], rows)}\n`
}

function percent(part: number): string {
  return `${part < 0.02 ? (part * 100).toFixed(1) : Math.round(part * 100)} %`
}
