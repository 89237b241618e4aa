import { ServiceError, serverStream, unary, type HandlerSet } from '@micrograft/contracts'
import type { Asking } from '@micrograft/testing'

/** What a set of handlers is made with, and a place to keep things in that two sets must not share. */
type Make = (state: unknown) => Partial<Omit<HandlerSet, 'endpoints'>> & { readonly endpoints: object }

const asking: Asking = { endpoint: 'Say.Hello', request: { name: 'John' } }
const schema = (validate: (value: unknown) => unknown) =>
  ({ '~standard': { version: 1, vendor: 'broken', validate } }) as never

const shared = { count: 0 }
const held = new Set<ReturnType<typeof setInterval>>()

/** Ends what the broken sets leave behind. */
export function endLeftovers(): void {
  for (const each of held) clearInterval(each)
}

class Tally {
  count = 0
}

const hello = async () => 'hello'
const streaming = (open: (signal: AbortSignal) => AsyncIterable<unknown>): Make => {
  return () => ({
    endpoints: { Say: { Hello: serverStream({ handle: (_, { signal }) => open(signal) }) } },
  })
}

/** Counts the calls in what `make` gives, and hands that out as it says. */
const counting = (
  make: (state: unknown) => { count: number },
  give: (count: { count: number }) => unknown,
): Make => {
  return (state) => {
    const counted = make(state)
    return {
      endpoints: { Say: { Hello: async () => void counted.count++ } },
      dehydrate: () => give(counted),
    }
  }
}

/** A way to be wrong, what to ask it, and the names of the cases that must find it. */
export interface BrokenHandlers {
  readonly make: Make
  readonly asks?: readonly Asking[]
  readonly found: readonly string[]
}

export const brokenHandlers: readonly BrokenHandlers[] = [
  { make: () => ({ endpoints: {} }), found: ['endpoints are named Type.Method, and there is one at least'] },
  {
    make: () => ({ endpoints: { 'Say.Hello': { There: hello } } }),
    found: ['endpoints are named Type.Method, and there is one at least'],
  },
  {
    make: () => ({ endpoints: { Say: { Hello: { kind: 'stream', handle: hello } } } }),
    found: ['each endpoint is a function, or says its kind and has one'],
  },
  {
    make: () => ({ endpoints: { Say: { Hello: { kind: 'unary', metadata: { a: 1 }, handle: hello } } } }),
    found: ['each endpoint is a function, or says its kind and has one'],
  },
  {
    make: () => ({
      endpoints: {
        Say: {
          Hello: unary({
            input: schema((value) => ({ value: (value as { name: string }).name })),
            handle: hello,
          }),
        },
      },
    }),
    found: ['schemas are Standard Schemas, which say of any value whether it is right'],
  },
  {
    make: () => ({
      endpoints: {
        Say: { Hello: unary({ input: schema(() => ({ issues: [{ message: 'no' }] })), handle: hello }) },
      },
    }),
    found: ['a schema takes what is asked'],
  },
  {
    make: () => ({ endpoints: { Say: { Hello: hello, Bye: hello } } }),
    found: ['every endpoint answers as its kind says'],
  },
  {
    make: () => ({ endpoints: { Say: { Hello: serverStream({ handle: hello as never }) } } }),
    found: ['every endpoint answers as its kind says'],
  },
  {
    make: () => ({
      endpoints: {
        Say: {
          Hello: unary({
            output: schema((value) => (value === 'hi' ? { value } : { issues: [{ message: 'no' }] })),
            handle: hello,
          }),
        },
      },
    }),
    found: ['what is answered is what the schema of the output takes'],
  },
  {
    make: () => ({
      endpoints: {
        Say: {
          Hello: unary({
            handle: (_, { replyMetadata }) => {
              replyMetadata['X-Cost'] = '7'
            },
          }),
        },
      },
    }),
    found: ['reply metadata can travel'],
  },
  {
    make: () => {
      let busy = false
      return {
        endpoints: {
          Say: {
            async Hello() {
              if (busy) throw new ServiceError('overloaded', 'one at a time')
              busy = true
              await new Promise((resolve) => setTimeout(resolve, 1))
              busy = false
            },
          },
        },
      }
    },
    found: ['many are answered at a time'],
  },
  {
    make: () => ({
      endpoints: { Say: { Hello: async (request: { name: string }) => (request.name = 'Ann') } },
    }),
    found: ['requests are as they were'],
  },
  {
    // Waits for what never comes, and does not look at the signal.
    make: streaming(async function* () {
      yield 1
      await new Promise(() => undefined)
    }),
    asks: [{ ...asking, endless: true }],
    found: ['context.signal ends a stream that waits'],
  },
  {
    // An abort that came before is missed.
    make: streaming(async function* (signal) {
      yield await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      )
    }),
    asks: [{ ...asking, endless: true }],
    found: ['a signal that is aborted already ends a stream'],
  },
  {
    make: streaming(async function* () {
      try {
        for (;;) yield 1
      } finally {
        await new Promise(() => undefined)
      }
    }),
    asks: [{ ...asking, endless: true }],
    found: ['leaving a stream ends it, with no need of the signal'],
  },
  {
    make: counting(
      () => new Tally(),
      (tally) => ({ tally }),
    ),
    found: ['state is plain data, which a structured clone can copy'],
  },
  {
    make: counting(
      () => ({ count: 0 }),
      () => ({ read: () => 0 }),
    ),
    found: ['state is plain data, which a structured clone can copy'],
  },
  {
    make: counting(
      () => ({ count: 0 }),
      (state) => state,
    ),
    found: ['giving the state away changes nothing: calls go on, and the state that was given stays'],
  },
  {
    make: counting(
      () => ({ count: 0 }),
      (state) => ({ ...state }),
    ),
    found: ['a new one takes the state, and answers where the old one is disposed'],
  },
  {
    // Goes on with the very object that it was given.
    make: counting(
      (state) => (state as { count: number } | undefined) ?? { count: 0 },
      (state) => ({ ...state }),
    ),
    found: ['a new one takes the state, and answers where the old one is disposed'],
  },
  {
    make: () => {
      let count = 0
      return {
        endpoints: { Say: { Hello: async () => void count++ } },
        dehydrate: () => ({ count }),
        hydrate: (state: unknown) => (count += (state as { count: number }).count),
      }
    },
    found: ['hydrate takes the state of another, and leaves nothing of its own'],
  },
  {
    make: counting(
      () => shared,
      (state) => ({ ...state }),
    ),
    found: ['two of one process share no state'],
  },
  {
    make: () => {
      let open = true
      return {
        endpoints: { Say: { Hello: hello } },
        async [Symbol.asyncDispose]() {
          if (!open) throw new ServiceError('closed', 'it is closed already')
          open = false
        },
      }
    },
    found: ['dispose is safe twice, at the same time, and on what was never used'],
  },
  {
    make: () => {
      held.add(setInterval(() => undefined, 1000))
      return { endpoints: { Say: { Hello: hello } } }
    },
    found: ['what was disposed lets the process end'],
  },
]

export const defaultAsks: readonly Asking[] = [asking]

export function brokenSet(make: Make, state: unknown): HandlerSet {
  return { [Symbol.asyncDispose]: async () => undefined, ...make(state) } as HandlerSet
}
