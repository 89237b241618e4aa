import type { Cell } from './cells.js'

interface Limit {
  readonly why: string
  readonly of: (cell: Cell) => boolean
}

/** What a version of go-micro cannot do, whoever its peer is. One that no longer holds fails the run. */
const limits: readonly Limit[] = []

export function limitOf(cell: Cell): string | undefined {
  return limits.find((each) => each.of(cell))?.why
}
