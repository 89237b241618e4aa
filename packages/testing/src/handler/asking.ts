import assert from 'node:assert/strict'
import type { EndpointDefinition, HandlerContext, HandlerSet, Schema } from '@micrograft/contracts'
import type { Asking } from '../handler-cases.js'
import { soon, within } from '../within.js'

const asyncGenerator = Object.getPrototypeOf(async function* () {}) as object

/** Every endpoint by `Type.Method`, as a service reads them. */
export function definitionsOf({ endpoints }: HandlerSet): ReadonlyMap<string, EndpointDefinition> {
  return new Map(
    Object.entries(endpoints).flatMap(([type, group]) =>
      Object.entries(group).map(([method, each]) => [`${type}.${method}`, definitionOf(each)] as const),
    ),
  )
}

function definitionOf(given: EndpointDefinition | EndpointDefinition['handle']): EndpointDefinition {
  if (typeof given !== 'function') return given
  return { kind: Object.getPrototypeOf(given) === asyncGenerator ? 'server' : 'unary', handle: given }
}

/** One call as a handler sees it. */
export interface Asked {
  readonly definition: EndpointDefinition
  readonly context: HandlerContext
  /** The reply, or the iterable of what is streamed. */
  readonly answer: Promise<unknown>
}

/** Calls an endpoint. `signal` aborts the call, and what the caller streams, as a server does it. */
export function ask(
  handlers: HandlerSet,
  { endpoint, request, messages = [] }: Asking,
  signal: AbortSignal = new AbortController().signal,
  open = false,
): Asked {
  const definition = definitionsOf(handlers).get(endpoint)
  assert.ok(definition, `there is no endpoint ${endpoint} to ask`)
  const { kind, input, handle } = definition
  const context: HandlerContext = {
    service: 'test',
    endpoint,
    metadata: Object.freeze({ 'x-tenant': 'blue' }),
    replyMetadata: {},
    signal,
    deadline: undefined,
    remote: '127.0.0.1:4001',
  }
  const sent = kind === 'client' || kind === 'two-way'
  const answer = (async () => {
    const argument = sent ? streamed(messages, input, signal, open) : await valid(input, request)
    return handle(argument as never, context)
  })()
  answer.catch(() => undefined)
  return { definition, context, answer }
}

/** Asks and reads all of the answer; of one that is endless what is there at once. */
export async function askAll(
  handlers: HandlerSet,
  asking: Asking,
): Promise<{ readonly replies: readonly unknown[]; readonly asked: Asked }> {
  const controller = new AbortController()
  const asked = ask(handlers, asking, controller.signal, asking.endless)
  const { kind } = asked.definition
  const answer = await asked.answer
  const streams = typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
  assert.equal(
    streams,
    kind === 'server' || kind === 'two-way',
    `${asking.endpoint} is ${kind} and gives something else`,
  )
  if (!streams) return { replies: [answer], asked }
  const replies: unknown[] = []
  if (!asking.endless) {
    for await (const each of answer as AsyncIterable<unknown>) replies.push(each)
    return { replies, asked }
  }
  const reading = await readWhatIsThere(answer as AsyncIterable<unknown>, 10)
  controller.abort(new Error('the caller leaves'))
  await leave(asking.endpoint, reading)
  return { replies: reading.replies, asked }
}

/** A stream that was read until it had no more at once. */
export interface Reading {
  readonly iterator: AsyncIterator<unknown>
  readonly replies: readonly unknown[]
  /** What the last `next` gives, which may still be waited for. */
  readonly last: Promise<unknown>
  readonly waits: boolean
}

export async function readWhatIsThere(messages: AsyncIterable<unknown>, most: number): Promise<Reading> {
  const iterator = messages[Symbol.asyncIterator]()
  const replies: unknown[] = []
  let last: Promise<IteratorResult<unknown>> | undefined
  while (replies.length < most) {
    last = iterator.next()
    const result = await soon(20, last)
    if (!result) return { iterator, replies, last, waits: true }
    if (result.done) break
    replies.push(result.value)
  }
  return { iterator, replies, last: Promise.resolve(last), waits: false }
}

/** Ends the reading as a server does: when the last `next` is settled. */
export async function leave(endpoint: string, { iterator, last }: Reading): Promise<void> {
  await within(5000, `${endpoint} ends when it is aborted`, Promise.allSettled([last]))
  await within(5000, `${endpoint} is left`, Promise.allSettled([iterator.return?.()]))
}

export async function valid(schema: Schema | undefined, value: unknown): Promise<unknown> {
  if (!schema) return value
  const result = await schema['~standard'].validate(value)
  assert.ok(!result.issues, `the schema refuses ${JSON.stringify(value)}: ${result.issues?.[0]?.message}`)
  return result.value
}

/** The messages; then the end, or where the caller keeps it `open` nothing until the signal aborts. */
async function* streamed(
  messages: readonly unknown[],
  input: Schema | undefined,
  signal: AbortSignal,
  open: boolean,
): AsyncGenerator {
  for (const each of messages) yield await valid(input, each)
  if (!open) return
  await new Promise((_, reject) => {
    const end = () => reject(signal.reason as Error)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** `value` with everything in it frozen, but for bytes. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  for (const each of Object.values(value)) frozen(each)
  return Object.freeze(value)
}
