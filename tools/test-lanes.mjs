// Runs jobs beside one another, in lanes: each takes the next that is for it when it has ended one.

/**
 * @param jobs In the order to begin with. No two with the same `key` run at a time.
 * @param lanes For each lane which jobs it takes, kind after kind: of the second where none of the first is left.
 * @param run What is done with a job.
 */
export async function inLanes(jobs, lanes, run) {
  const left = [...jobs]
  const running = new Map()
  await Promise.all(
    lanes.map(async (kinds) => {
      for (;;) {
        const kind = kinds.find((kind) => left.some(kind))
        if (!kind) return
        const job = left.find((job) => kind(job) && !running.has(job.key))
        if (!job) {
          await Promise.race(running.values())
          continue
        }
        left.splice(left.indexOf(job), 1)
        const ended = run(job)
        running.set(job.key, ended)
        await ended
        running.delete(job.key)
      }
    }),
  )
}
