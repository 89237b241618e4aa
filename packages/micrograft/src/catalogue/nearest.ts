/** The known name that is most like `name`, where one is like it at all. */
function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 2))
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least || (distance === least && best === undefined)) [best, least] = [candidate, distance]
  }
  return best
}

/** ` (did you mean tcp?); known are http, memory, tcp`, for the end of a message. */
export function hint(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  const list = known.length > 0 ? `known are ${[...known].sort().join(', ')}` : 'none is known'
  return `${near === undefined ? '' : ` (did you mean ${near}?)`}; ${list}`
}

/** How many characters must be put in, taken out, changed or swapped with the next (Damerau-Levenshtein). Long names are cut: this is for people. */
function editDistance(a: string, b: string): number {
  const [x, y] = [a.slice(0, 64), b.slice(0, 64)]
  let before: number[] = []
  let row = Array.from({ length: y.length + 1 }, (_, i) => i)
  for (let i = 1; i <= x.length; i++) {
    const next = [i]
    for (let j = 1; j <= y.length; j++) {
      const change = (row[j - 1] as number) + (x[i - 1] === y[j - 1] ? 0 : 1)
      const swapped =
        x[i - 1] === y[j - 2] && x[i - 2] === y[j - 1] && i > 1 && j > 1
          ? (before[j - 2] as number) + 1
          : Infinity
      next.push(Math.min(change, swapped, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    before = row
    row = next
  }
  return row[y.length] as number
}
