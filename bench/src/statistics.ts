/** What came of measuring one thing several times. */
export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
  /** In the order of measuring. */
  readonly samples: readonly number[]
}

export function figure(samples: readonly number[]): Figure {
  return { median: median(samples), min: Math.min(...samples), max: Math.max(...samples), samples }
}

export function median(samples: readonly number[]): number {
  if (samples.length === 0) throw new Error('a median of nothing')
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/**
 * How `a` compares with `b`, round by round: what slows the machine in one round slows both, and
 * goes out of the ratio.
 */
export function ratio(a: readonly number[], b: readonly number[]): Figure {
  if (a.length !== b.length) throw new Error('a ratio needs as many rounds of the one as of the other')
  return figure(a.map((each, round) => each / (b[round] as number)))
}
