import { malformed } from './frames.js'

/** What the two ends of a connection tell each other before anything else, in JSON. */
export interface Greeting {
  readonly version: 1
  /** How often there is a sign of life, in milliseconds. */
  readonly keepAliveMs: number
  /** Why there is no connection. */
  readonly refused?: string | undefined
}

/** A peer that is silent for longer would never be missed. */
export const longestKeepAliveMs = 600_000

export function encodeGreeting(greeting: Greeting): Buffer {
  return Buffer.from(JSON.stringify(greeting))
}

/** @throws `protocol` */
export function decodeGreeting(data: Uint8Array): Greeting {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  } catch (cause) {
    throw malformed(`the greeting is not JSON: ${(cause as Error).message}`)
  }
  const { version, keepAliveMs, refused } = (value ?? {}) as Record<string, unknown>
  if (version !== 1) throw malformed(`the peer greets with version ${String(version)}, and this is 1`)
  if (typeof keepAliveMs !== 'number' || !(keepAliveMs > 0))
    throw malformed('the greeting has no keepAliveMs')
  return {
    version,
    keepAliveMs: Math.min(keepAliveMs, longestKeepAliveMs),
    refused: typeof refused === 'string' ? refused.slice(0, 1000) : undefined,
  }
}
