import assert from 'node:assert/strict'
import type { CallContext, Delivery, Metadata, Middleware, Next, PublishContext } from '@micrograft/contracts'

/** What goes into one of the functions of middleware. */
export type Passed = CallContext | PublishContext | Delivery

type Around = (argument: Passed, next: Next<Passed, unknown>) => Promise<unknown>

const names = ['call', 'handle', 'publish', 'subscribe'] as const

/** One of the functions that a middleware has. */
export interface Place {
  readonly name: (typeof names)[number]
  /** Whether `next` gives something that must come back. */
  readonly replies: boolean
  /** What goes in, deeply frozen; `label` tells it from others. */
  argument(label: string, more?: Partial<CallContext>): Passed
  /** Calls the function. */
  go(argument: Passed, next: Next<Passed, unknown>): Promise<unknown>
}

/** A place where calls go through, and not messages. */
export interface CallPlace extends Place {
  argument(label: string, more?: Partial<CallContext>): CallContext
  go(argument: Passed, next: (context: CallContext) => Promise<unknown>): Promise<unknown>
}

interface Given {
  readonly middleware: Middleware
  readonly metadata?: Metadata | undefined
}

export function placesOf({ middleware, metadata = {} }: Given): readonly Place[] {
  return names
    .filter((name) => middleware[name] !== undefined)
    .map((name) => ({
      name,
      replies: name === 'call' || name === 'handle',
      argument: (label, more) => argumentOf(name, label, metadata, more),
      go(argument, next) {
        const result = (middleware[name] as unknown as Around).call(middleware, argument, next)
        assert.equal(
          typeof (result as Promise<unknown> | undefined)?.then,
          'function',
          `${name} gives no promise`,
        )
        return result
      },
    }))
}

export function callPlacesOf(given: Given): readonly CallPlace[] {
  return placesOf(given).filter(({ replies }) => replies) as unknown as readonly CallPlace[]
}

function argumentOf(
  name: Place['name'],
  label: string,
  metadata: Metadata,
  more: Partial<CallContext> | undefined,
): Passed {
  if (name === 'subscribe') {
    const header = { 'content-type': 'application/json', 'micro-id': label, ...metadata }
    // Bytes cannot be frozen: the cases compare them.
    const message = Object.freeze({ header: Object.freeze(header), body: new TextEncoder().encode(label) })
    return Object.freeze({ topic: 'orders', message, redelivered: 0 })
  }
  const value = Object.freeze({ label, list: Object.freeze([1, 2, 3]) })
  const all = Object.freeze({ 'x-tenant': 'blue', ...metadata })
  if (name === 'publish') return Object.freeze({ topic: 'orders', metadata: all, payload: value })
  return Object.freeze({
    service: 'greeter',
    endpoint: 'Say.Hello',
    metadata: all,
    signal: undefined,
    stream: false,
    request: value,
    ...more,
  })
}

/** Request, payload or body: what middleware carries. */
export function valueOf(passed: Passed): unknown {
  if ('message' in passed) return passed.message.body
  return 'payload' in passed ? passed.payload : passed.request
}

export function metadataOf(passed: Passed): Metadata {
  return 'message' in passed ? passed.message.header : passed.metadata
}

/** What was passed in by its label, whatever metadata was added on the way. */
export function labelOf(passed: Passed): string {
  if ('message' in passed) return new TextDecoder().decode(passed.message.body)
  return (valueOf(passed) as { readonly label: string }).label
}
