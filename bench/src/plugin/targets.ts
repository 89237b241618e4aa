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

/** The design speaks of files of 200 KB. */
function isOfTheSize({ bytes }: { readonly bytes: number }): boolean {
  return bytes > 180_000 && bytes < 220_000
}

export function describeTargets(list: readonly Target[]): string {
  const rows = list.map(({ what, atMost, value, reached, used }) => [
    what,
    `≤ ${number(atMost)}`,
    number(value),
    reached ? `yes, ${Math.round((1 - used) * 100)} % below` : `no, ${Math.round((used - 1) * 100)} % above`,
  ])
  return `## What was to be reached\n\n${table(['', 'to reach', 'measured', 'reached'], rows)}\n`
}
