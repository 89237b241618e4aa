import { readdirSync } from 'node:fs'
import { createService, type Middleware, type Service } from 'micrograft'
import { Ledger } from './ledger.js'
import { Load } from './load.js'
import type { Latencies, MemberAsks, MemberInput, MemoryReading } from './member-protocol.js'

// One process of the fleet that is swapped under load: it does what the driver asks, over the channel to its parent.

const input = JSON.parse(process.argv[2] as string) as MemberInput
const ledger = new Ledger()
const service = makeService(input)
const load = new Load(service, String(process.pid))

/** Sees every request of the greeter, whatever version handles it. */
const seen: Middleware = {
  name: 'ledger',
  async handle(context, next) {
    const { worker, n } = (context.request ?? {}) as { readonly worker?: string; readonly n?: number }
    if (worker !== undefined && n !== undefined) ledger.request(worker, n)
    await service.use('auth').verify(undefined, {
      type: 'service',
      name: context.service,
      endpoint: context.endpoint,
    })
    return next(context)
  },
}

function makeService({ role, directory, middleware, handler, makeTimeoutMs, options }: MemberInput): Service {
  const made = createService({
    name: role,
    registry: { use: 'local', options: { directory } },
    logger: 'noop',
    plugins: [middleware],
    middleware: [{ name: 'seen', handle: (context, next) => seen.handle!(context, next) }, 'around'],
    makeTimeoutMs,
    ...(role === 'greeter' ? { handlers: [handler] } : {}),
    ...options,
  })
  if (role === 'greeter') {
    made.handle('Keep', {
      Put: ({ key, n }: { key: string; n: number }) => made.store.set(key, Buffer.from(String(n))),
      Get: async ({ key }: { key: string }) =>
        Number(Buffer.from((await made.store.get(key)) ?? []).toString()),
    })
  }
  return made
}

async function start(): Promise<string> {
  await service.init([], {})
  await service.start()
  type Order = { readonly publisher: number; readonly n: number }
  await service.subscribe<Order>('orders', ({ publisher, n }) => ledger.message(`queue ${publisher}`, n), {
    queue: 'workers',
  })
  await service.subscribe<Order>('orders', ({ publisher, n }) => ledger.message(`each ${publisher}`, n))
  return service.address ?? ''
}

async function memory(): Promise<MemoryReading> {
  // What goes in one turn may let go of more in the next.
  for (let i = 0; i < 6; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  let descriptors: number | undefined
  try {
    descriptors = readdirSync('/proc/self/fd').length
  } catch {
    // Only Linux tells.
  }
  return {
    heapUsed: process.memoryUsage().heapUsed,
    descriptors,
    plugins: service.plugins.platform.plugins.length,
  }
}

interface Recording {
  readonly began: number[]
  readonly ms: number[]
  readonly at: number
}

let recording: Recording | undefined
let stallMs = 0

function watchStalls(): void {
  let last = performance.now()
  const turn = () => {
    const now = performance.now()
    stallMs = Math.max(stallMs, now - last)
    last = now
    if (recording) setImmediate(turn)
  }
  setImmediate(turn)
}

function latencies(what: 'begin' | 'end'): Latencies {
  if (what === 'begin') {
    const since = performance.now()
    const into: Recording = { began: [], ms: [], at: Date.now() }
    recording = into
    stallMs = 0
    load.onCall = (at, took) => {
      into.began.push(at - since)
      into.ms.push(took)
    }
    watchStalls()
    return { began: [], ms: [], stallMs: 0, at: into.at }
  }
  const { began, ms, at } = recording ?? { began: [], ms: [], at: 0 }
  recording = undefined
  load.onCall = undefined
  return { began, ms, stallMs, at }
}

const asks: {
  readonly [K in keyof MemberAsks]: (
    given: MemberAsks[K]['with'],
  ) => Promise<MemberAsks[K]['gives']> | MemberAsks[K]['gives']
} = {
  start,
  swap: ({ type, target, options }) => service.swap(type, target, options),
  begin: (shape) => load.begin(shape) as undefined,
  end: () => load.end() as Promise<undefined>,
  pass: (calls) => load.pass(calls),
  memory,
  messages: (published) =>
    Object.fromEntries(
      published.flatMap((count, publisher) =>
        ['queue', 'each'].map((kind) => [
          `${kind} ${publisher}`,
          Buffer.from(ledger.counts(`${kind} ${publisher}`, count)).toString('base64'),
        ]),
      ),
    ),
  async report() {
    const { handled, doubled, skipped } = ledger
    const total = service.name === 'caller' ? await callTotal() : undefined
    return { load: load.report(), handled, doubled, skipped, total }
  },
  latencies,
  stop: () => service.stop() as Promise<undefined>,
}

function callTotal(): Promise<number> {
  return service.client.call<number>('greeter', 'Say.Total', {})
}

process.on('message', ({ id, ask, given }: { id: number; ask: keyof MemberAsks; given: never }) => {
  void (async () => {
    try {
      const gives: unknown = await asks[ask](given)
      process.send?.({ id, gives })
    } catch (error) {
      const { message, code, stack } = error as Error & { code?: string }
      process.send?.({ id, error: { message, code, stack } })
    }
    if (ask === 'stop') process.disconnect()
  })()
})
process.on('disconnect', () => process.exit(0))
service.onSwap(({ slot, phase, to }) => process.send?.({ event: { slot, phase, to } }))
