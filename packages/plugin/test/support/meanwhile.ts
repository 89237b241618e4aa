/** Calls `disturb` again and again, each time with the next number from 0, until `work` has ended. */
export async function meanwhile(
  disturb: (round: number) => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  const ended = new AbortController()
  const disturbing = async () => {
    for (let round = 0; !ended.signal.aborted; round++) await disturb(round)
  }
  await Promise.all([work().finally(() => ended.abort()), disturbing()])
}
