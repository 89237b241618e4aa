import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type ListOptions,
  type Logger,
  type SetOptions,
  type Store,
  type StoreCapabilities,
} from '@micrograft/contracts'
import {
  abortable,
  afterPrefix,
  keyBytes,
  lifetime,
  requireLimit,
  requireValue,
  tryEach,
} from '@micrograft/plugin-kit'
import { postgresAddress, type PostgresTls } from './postgres-address.js'
import { isReadOnly } from './postgres-error.js'
import { closedError, PostgresPools } from './postgres-pools.js'

export interface PostgresStoreOptions {
  /**
   * Servers, tried in turn: `host:port` or `postgres://user:password@host:port/database?sslmode=verify-full`.
   * @default `127.0.0.1:5432`
   */
  readonly addresses?: readonly string[] | undefined
  /** The database, which must be there. @default that of the address, else the user's */
  readonly database?: string | undefined
  /** The table. @default the service's name */
  readonly table?: string | undefined
  /** Makes the table where it is missing. @default true */
  readonly createTable?: boolean | undefined
  /** @default that of the address */
  readonly user?: string | undefined
  /** @default that of the address */
  readonly password?: string | undefined
  /** Encrypts connections; the server's certificate is verified. @default false, or what an address says */
  readonly tls?: PostgresTls | boolean | undefined
  /** Longest time that a call takes, waiting for a connection included, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
  /** Most connections to a server. @default 10 */
  readonly maxConnections?: number | undefined
  /** Most calls that wait for a connection; further ones are refused with `overloaded`. @default 1000 */
  readonly maxWaiting?: number | undefined
  /** Largest value, in bytes. @default 16_777_216 (16 MiB) */
  readonly maxValueBytes?: number | undefined
  /** Time between two sweeps of expired entries, in milliseconds. @default 60_000 */
  readonly sweepIntervalMs?: number | undefined
}

const defaults = {
  addresses: ['127.0.0.1:5432'] as readonly string[],
  database: undefined,
  table: undefined,
  createTable: true,
  user: undefined,
  password: undefined,
  tls: false as PostgresTls | boolean,
  timeoutMs: 5000,
  maxConnections: 10,
  maxWaiting: 1000,
  maxValueBytes: 16_777_216,
  sweepIntervalMs: 60_000,
}

/** Keeps entries in a table of PostgreSQL. */
export async function postgresStore(
  given: PostgresStoreOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Store> {
  const what = 'the options of the postgres store'
  const options = resolveOptions(what, defaults, given)
  requireNumbers(what, options, {
    timeoutMs: aTimer,
    maxConnections: aCount,
    maxWaiting: aCount,
    maxValueBytes: aCount,
    sweepIntervalMs: aTimer,
  })
  const table = quoted(options.table ?? service)
  if (!Array.isArray(options.addresses) || options.addresses.length === 0)
    throw new ServiceError(
      'invalid-option',
      `${what}: addresses are no list of servers; give one, or leave the option out`,
    )
  const pools = new PostgresPools(
    { ...options, addresses: options.addresses.map((address) => postgresAddress(address, options)) },
    log,
  )
  try {
    const { addresses, createTable } = options
    // Making the table needs a server that takes writes.
    const preparing = tryEach(
      addresses.length,
      () => prepare(pools, table, createTable),
      (error) => isReadOnly((error as ServiceError).cause ?? {}),
    )
    await abortable(preparing, signal)
  } catch (error) {
    await pools[Symbol.asyncDispose]()
    throw error
  }
  return new PostgresStore(pools, table, options, log)
}

const maxTableBytes = 48

function quoted(table: string): string {
  if (
    typeof table === 'string' &&
    table !== '' &&
    Buffer.byteLength(table) <= maxTableBytes &&
    !table.includes('\0')
  )
    return table.replaceAll('"', '""')
  throw new ServiceError(
    'invalid-option',
    `the table ${JSON.stringify(String(table).slice(0, 64))} is none; give a name of 1 to ${maxTableBytes} bytes`,
  )
}

/** Held by whoever makes a table: of two that do so at once, PostgreSQL may refuse one all the same. */
const lock = 7_369_632

/** Sees that the table is there. A user who may not make tables need not, where it is. */
async function prepare(pools: PostgresPools, table: string, create: boolean): Promise<void> {
  const { rows } = await pools.query('SELECT to_regclass($1) IS NOT NULL AS present', [`"${table}"`])
  if (create && rows[0]?.['present'] !== true) {
    // Without parameters, statements that are sent together are one transaction.
    await pools.query(
      `SELECT pg_advisory_xact_lock(${lock});` +
        `CREATE TABLE IF NOT EXISTS "${table}" (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz);` +
        `CREATE INDEX IF NOT EXISTS "${table}_expires_at" ON "${table}" (expires_at) WHERE expires_at IS NOT NULL`,
    )
  }
  await pools.query(`SELECT key, value, expires_at FROM "${table}" LIMIT 0`)
}

const live = '(expires_at IS NULL OR expires_at > now())'
/** Entries that one statement of a sweep takes out. */
const sweepSize = 1000

class PostgresStore implements Store {
  readonly name = 'postgres'
  readonly capabilities: StoreCapabilities = { durable: true, shared: true }
  readonly #pools: PostgresPools
  readonly #table: string
  // Made once: the library compares the text of a prepared statement at each call.
  readonly #getting: string
  readonly #setting: string
  readonly #maxValueBytes: number
  readonly #log: Logger
  readonly #sweeper: NodeJS.Timeout
  #closed = false

  constructor(
    pools: PostgresPools,
    table: string,
    { maxValueBytes, sweepIntervalMs }: { maxValueBytes: number; sweepIntervalMs: number },
    log: Logger,
  ) {
    this.#pools = pools
    this.#table = `"${table}"`
    this.#getting = `SELECT value FROM ${this.#table} WHERE key = $1 AND ${live}`
    this.#setting =
      `INSERT INTO ${this.#table} (key, value, expires_at)` +
      ` VALUES ($1, $2, now() + $3::float8 * interval '1 millisecond')` +
      ' ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at'
    this.#maxValueBytes = maxValueBytes
    this.#log = log
    this.#sweeper = setInterval(() => void this.#sweep(), sweepIntervalMs).unref()
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    const asked = this.#pools.query(this.#getting, [keyBytes(key)], 'micrograft-get')
    const { rows } = await abortable(asked, signal)
    const value = rows[0]?.['value'] as Buffer | undefined
    return value && new Uint8Array(value.buffer, value.byteOffset, value.length)
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    const bytes = keyBytes(key)
    const expiry = lifetime(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    // A copy: the statement may wait for a connection while the caller goes on.
    const values = [bytes, Buffer.from(value), expiry ?? null]
    await abortable(this.#pools.query(this.#setting, values, 'micrograft-set'), signal)
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    const text = `DELETE FROM ${this.#table} WHERE key = $1 RETURNING ${live} AS lived`
    const { rows } = await abortable(this.#pools.query(text, [keyBytes(key)]), signal)
    return rows[0]?.['lived'] === true
  }

  async list({ prefix = '', suffix = '', limit = 1000, after, signal }: ListOptions = {}): Promise<
    readonly string[]
  > {
    this.#ready(signal)
    requireLimit(limit)
    const values: unknown[] = []
    const value = (each: Buffer | number) => `$${values.push(each)}`
    const conditions = [live]
    if (prefix !== '') {
      const bytes = Buffer.from(prefix)
      conditions.push(`key >= ${value(bytes)}`, `key < ${value(afterPrefix(bytes))}`)
    }
    if (suffix !== '') {
      const bytes = Buffer.from(suffix)
      // Without a length of at least that there is no such part, and no error either.
      conditions.push(
        `octet_length(key) >= ${bytes.length}`,
        `substring(key FROM greatest(octet_length(key) - ${bytes.length - 1}, 1)) = ${value(bytes)}`,
      )
    }
    if (after !== undefined) conditions.push(`key > ${value(Buffer.from(after))}`)
    const text = `SELECT key FROM ${this.#table} WHERE ${conditions.join(' AND ')} ORDER BY key LIMIT ${limit}`
    const { rows } = await abortable(this.#pools.query(text, values), signal)
    return rows.map(({ key }) => (key as Buffer).toString())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    await this.#pools[Symbol.asyncDispose]()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError()
  }

  /** Takes out what has expired, a few at a time, beside others that do the same. */
  async #sweep(): Promise<void> {
    const text =
      `DELETE FROM ${this.#table} WHERE expires_at <= now() AND key IN (SELECT key FROM ${this.#table}` +
      ` WHERE expires_at <= now() LIMIT ${sweepSize} FOR UPDATE SKIP LOCKED)`
    try {
      while (!this.#closed && (await this.#pools.query(text)).count === sweepSize);
    } catch (error) {
      if (!this.#closed) this.#log.debug('sweep failed', { error })
    }
  }
}
