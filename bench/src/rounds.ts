/** Measures one variant once. */
export type Measure<T> = (round: number) => T | Promise<T>

/**
 * Measures every variant once a round, each round beginning with another variant, so that neither
 * the time of day nor what ran before favours one of them.
 */
export async function interleave<T, V extends string>(
  rounds: number,
  variants: Readonly<Record<V, Measure<T>>>,
): Promise<Record<V, T[]>> {
  const names = Object.keys(variants) as V[]
  const measured = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<V, T[]>
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as V
      measured[name].push(await variants[name](round))
    }
  }
  return measured
}
