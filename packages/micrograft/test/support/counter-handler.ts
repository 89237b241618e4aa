import {
  clientStream,
  resolveOptions,
  serverStream,
  ServiceError,
  twoWay,
  unary,
  type ComponentContext,
  type HandlerSet,
} from '@micrograft/contracts'
import { z } from 'zod'

export interface CounterOptions {
  /** What the version before gave. @default counts from 0 */
  readonly state?: unknown
}

const State = z.strictObject({ count: z.number().int() })
const By = z.strictObject({ by: z.number().int() })
const Count = z.strictObject({ count: z.number().int() })

/** Counts: an endpoint of each kind, and a state that the next version goes on with. */
export function counterHandler(options: CounterOptions | undefined, _context: ComponentContext): HandlerSet {
  return new CounterHandler(
    resolveOptions('the options of the counter', { state: { count: 0 } }, options).state,
  )
}

class CounterHandler implements HandlerSet {
  readonly service = 'counter'
  readonly endpoints = {
    Counter: {
      Add: unary({ input: By, output: Count, handle: ({ by }) => this.#add(by) }),
      Steps: serverStream({ input: By, handle: ({ by }) => steps(by) }),
      Sum: clientStream({ input: By, output: Count, handle: (all) => this.#sum(all) }),
      Running: twoWay({ input: By, output: Count, handle: (all) => this.#running(all) }),
      Watch: serverStream({ output: Count, handle: (_, { signal }) => this.#watch(signal) }),
    },
    Plain: {
      Double: async ({ by }: { readonly by: number }) => by * 2,
      async *Twice(value: unknown) {
        yield value
        yield value
      },
    },
  }
  #count: number
  readonly #watchers = new Set<() => void>()
  #closed = false

  constructor(state: unknown) {
    this.#count = countOf(state)
  }

  dehydrate(): unknown {
    return { count: this.#count }
  }

  hydrate(state: unknown): void {
    this.#count = countOf(state)
    this.#tell()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#tell()
  }

  #add(by: number): z.infer<typeof Count> {
    this.#count += by
    this.#tell()
    return { count: this.#count }
  }

  #tell(): void {
    for (const tell of this.#watchers) tell()
  }

  async #sum(all: AsyncIterable<z.infer<typeof By>>): Promise<z.infer<typeof Count>> {
    for await (const { by } of all) this.#add(by)
    return { count: this.#count }
  }

  async *#running(all: AsyncIterable<z.infer<typeof By>>): AsyncGenerator<z.infer<typeof Count>> {
    for await (const { by } of all) yield this.#add(by)
  }

  /** The count now and after each change, until the caller leaves or the counter is closed. */
  async *#watch(signal: AbortSignal): AsyncGenerator<z.infer<typeof Count>> {
    let told: number | undefined
    let wake: () => void = () => undefined
    const tell = () => wake()
    this.#watchers.add(tell)
    signal.addEventListener('abort', tell)
    try {
      while (!this.#closed) {
        signal.throwIfAborted()
        if (told === this.#count) await new Promise<void>((resolve) => (wake = resolve))
        else yield { count: (told = this.#count) }
      }
    } finally {
      this.#watchers.delete(tell)
      signal.removeEventListener('abort', tell)
    }
  }
}

async function* steps(to: number): AsyncGenerator<number> {
  for (let i = 1; i <= to; i++) yield i
}

function countOf(state: unknown): number {
  const parsed = State.safeParse(state)
  if (parsed.success) return parsed.data.count
  throw new ServiceError('invalid-option', 'the state of the counter is none; give what dehydrate gave')
}
