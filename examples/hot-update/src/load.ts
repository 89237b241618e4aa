import type { Service } from 'micrograft'

const inFlight = 32

/** What a stretch of load came to. Latencies are milliseconds. */
export interface Stretch {
  readonly calls: number
  readonly failures: readonly Error[]
  readonly p50: number
  readonly p99: number
}

/** Calls the greeter without a break, 32 at a time, while `work` goes on; a reply is held to what was asked. */
export async function underLoad(caller: Service, work: () => Promise<void>): Promise<Stretch> {
  const latencies: number[] = []
  const failures: Error[] = []
  const stopping = new AbortController()
  const worker = async (id: number) => {
    for (let i = 0; !stopping.signal.aborted; i++) {
      const name = `${id}-${i}`
      const started = performance.now()
      try {
        const { msg } = await caller.client.call<{ msg: string }>('greeter', 'Say.Hello', { name })
        if (!msg.endsWith(name)) throw new Error(`${name} got the answer of another: ${msg}`)
        latencies.push(performance.now() - started)
      } catch (error) {
        failures.push(error as Error)
      }
    }
  }
  const workers = Array.from({ length: inFlight }, (_, id) => worker(id))
  try {
    await work()
  } finally {
    stopping.abort()
    await Promise.all(workers)
  }
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0
  return { calls: latencies.length, failures, p50: at(0.5), p99: at(0.99) }
}
