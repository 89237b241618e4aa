import { number, table } from './markdown.js'

/** A number of the design, and what became of it. */
export interface Goal {
  readonly what: string
  /** `value` is to be at least this, or at most. */
  readonly limit: number
  readonly is: 'at least' | 'at most'
  readonly value: number
  readonly reached: boolean
}

export function goal(what: string, is: Goal['is'], limit: number, value: number): Goal {
  return { what, limit, is, value, reached: is === 'at least' ? value >= limit : value <= limit }
}

export function describeGoals(goals: readonly Goal[]): string {
  if (goals.length === 0) return ''
  const rows = goals.map(({ what, limit, is, value, reached }) => {
    const off =
      limit === 0
        ? ''
        : `, ${Math.round(Math.abs(value / limit - 1) * 100)} % ${value < limit ? 'below' : 'above'}`
    return [
      what,
      `${is === 'at least' ? '≥' : '≤'} ${number(limit)}`,
      number(value),
      `${reached ? 'yes' : 'no'}${off}`,
    ]
  })
  return `## What was to be reached\n\n${table(['', 'to reach', 'measured', 'reached'], rows)}\n`
}
