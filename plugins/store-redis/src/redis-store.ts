import {
  aCount,
  requireNumber,
  resolveOptions,
  type CallOptions,
  type ComponentContext,
  type ListOptions,
  type SetOptions,
  type Store,
  type StoreCapabilities,
} from '@micrograft/contracts'
import { requireKey, requireLimit, requireTtl, requireValue } from '@micrograft/plugin-kit'
import {
  asBytes,
  asText,
  invalidOption,
  redisDefaults,
  redisEndpoints,
  RedisLink,
  type RedisOptions,
} from '@micrograft/redis-link'
import { FirstKeys } from './first-keys.js'

export interface RedisStoreOptions extends RedisOptions {
  /** Comes before every key that the store uses. @default `micrograft:store:` */
  readonly prefix?: string | undefined
  /** Stores of one table see the same entries. Letters, digits, `.`, `_` and `-`. @default the service's name */
  readonly table?: string | undefined
  /** Largest value, in bytes. The server takes up to 512 MiB by default. @default 16_777_216 (16 MiB) */
  readonly maxValueBytes?: number | undefined
}

const what = 'the redis store'
/** Redis counts an expiry in 63 bits of milliseconds since 1970. */
const longestTtlMs = Number.MAX_SAFE_INTEGER
const scanCount = '1000'

/** Keeps each entry under a key of its own, for all processes with the same table. */
export async function redisStore(
  options: RedisStoreOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Store> {
  const resolved = resolveOptions(
    'the options of the redis store',
    { ...redisDefaults, prefix: 'micrograft:store:', table: service, maxValueBytes: 16_777_216 },
    options,
  )
  const { prefix, table, maxValueBytes } = resolved
  requireNumber(`maxValueBytes of ${what}`, maxValueBytes, aCount)
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(table))
    throw invalidOption(
      what,
      `the table ${JSON.stringify(table)} is none; use letters, digits, ".", "_" and "-"`,
    )
  const endpoints = redisEndpoints(what, resolved)
  const link = await RedisLink.open({ ...resolved, what, endpoints, log }, signal)
  return new RedisStore(link, `${prefix}${table}:`, maxValueBytes)
}

class RedisStore implements Store {
  readonly name = 'redis'
  readonly capabilities: StoreCapabilities = { durable: true, shared: true }
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #maxValueBytes: number

  constructor(link: RedisLink, prefix: string, maxValueBytes: number) {
    this.#link = link
    this.#prefix = prefix
    this.#maxValueBytes = maxValueBytes
  }

  async get(key: string, options?: CallOptions): Promise<Uint8Array | undefined> {
    requireKey(key)
    const reply = await this.#link.run(
      (client) => client.sendCommand(['GET', this.#prefix + key], asBytes),
      options,
    )
    // A copy: the reply is a part of what came from the socket.
    return reply === null ? undefined : new Uint8Array(reply as Buffer)
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    requireKey(key)
    requireTtl(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    const expiry = ttlMs === undefined ? [] : ['PX', Math.min(longestTtlMs, Math.ceil(ttlMs)).toFixed(0)]
    // A copy: it may wait for a connection while the caller goes on with its own.
    const args = ['SET', this.#prefix + key, Buffer.from(value), ...expiry]
    await this.#link.run((client) => client.sendCommand(args), { signal })
  }

  async delete(key: string, options?: CallOptions): Promise<boolean> {
    requireKey(key)
    const removed = await this.#link.run(
      (client) => client.sendCommand(['UNLINK', this.#prefix + key]),
      options,
    )
    return removed === 1
  }

  /** Redis keeps no order of keys: all of the database are looked through, a thousand at a time. */
  async list({ prefix = '', suffix = '', limit = 1000, after, signal }: ListOptions = {}): Promise<
    readonly string[]
  > {
    requireLimit(limit)
    const found = new FirstKeys(limit, after)
    const start = this.#prefix + prefix
    const pattern = `${globEscape(start)}*`
    let cursor = '0'
    do {
      const args = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', scanCount, 'TYPE', 'string']
      const reply = await this.#link.run((client) => client.sendCommand(args, asText), { signal })
      const [next, keys] = reply as [string, string[]]
      for (const full of keys) {
        const key = full.slice(this.#prefix.length)
        if (full.startsWith(start) && key.endsWith(suffix)) found.add(key)
      }
      cursor = next
    } while (cursor !== '0')
    return found.sorted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }
}

function globEscape(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
