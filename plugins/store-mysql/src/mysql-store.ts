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
import { mysqlAddress, type MysqlTls } from './mysql-address.js'
import { isReadOnly } from './mysql-error.js'
import { closedError, MysqlPools } from './mysql-pools.js'

export interface MysqlStoreOptions {
  /**
   * Servers, tried in turn: `host:port` or `mysql://user:password@host:port/database?ssl-mode=verify_identity`.
   * @default `127.0.0.1:3306`
   */
  readonly addresses?: readonly string[] | undefined
  /** The database, which must be there. @default that of the address, else `micrograft` */
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
  readonly tls?: MysqlTls | boolean | undefined
  /** Longest time that a call takes, waiting for a connection included, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
  /** Most connections to a server. @default 10 */
  readonly maxConnections?: number | undefined
  /** Most calls that wait for a connection; further ones are refused with `overloaded`. @default 1000 */
  readonly maxWaiting?: number | undefined
  /** Largest value, in bytes; the server's `max_allowed_packet` must be larger. @default 8_388_608 (8 MiB) */
  readonly maxValueBytes?: number | undefined
  /** Time between two sweeps of expired entries, in milliseconds. @default 60_000 */
  readonly sweepIntervalMs?: number | undefined
}

const defaults = {
  addresses: ['127.0.0.1:3306'] as readonly string[],
  database: undefined,
  table: undefined,
  createTable: true,
  user: undefined,
  password: undefined,
  tls: false as MysqlTls | boolean,
  timeoutMs: 5000,
  maxConnections: 10,
  maxWaiting: 1000,
  maxValueBytes: 8_388_608,
  sweepIntervalMs: 60_000,
}

/** Keeps entries in a table of MySQL or MariaDB. */
export async function mysqlStore(
  given: MysqlStoreOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Store> {
  const what = 'the options of the mysql store'
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
  const pools = new MysqlPools(
    { ...options, addresses: options.addresses.map((address) => mysqlAddress(address, options)) },
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
  return new MysqlStore(pools, table, options, log)
}

/** What the server takes, in characters. */
const maxTableLength = 64

function quoted(table: string): string {
  // eslint-disable-next-line no-control-regex
  const odd = /[\0\u{10000}-\u{10ffff}]| $/u
  if (typeof table === 'string' && table !== '' && table.length <= maxTableLength && !odd.test(table))
    return `\`${table.replaceAll('`', '``')}\``
  throw new ServiceError(
    'invalid-option',
    `the table ${JSON.stringify(String(table).slice(0, 64))} is none; give a name of 1 to ${maxTableLength} characters`,
  )
}

/** Sees that the table is there. A user who may not make tables need not, where it is. */
async function prepare(pools: MysqlPools, table: string, create: boolean): Promise<void> {
  const look = () => pools.query(`SELECT entry_key, entry_value, expires_at FROM ${table} LIMIT 0`)
  try {
    await look()
  } catch (error) {
    if (!create || (error as ServiceError).code !== 'not-found') throw error
    await pools.query(
      `CREATE TABLE IF NOT EXISTS ${table} (entry_key VARBINARY(512) NOT NULL PRIMARY KEY,` +
        ' entry_value LONGBLOB NOT NULL, expires_at DATETIME(3) NULL, INDEX (expires_at)) ENGINE = InnoDB',
    )
    await look()
  }
}

const live = '(expires_at IS NULL OR expires_at > UTC_TIMESTAMP(3))'
/** Entries that one statement of a sweep takes out. */
const sweepSize = 1000

class MysqlStore implements Store {
  readonly name = 'mysql'
  readonly capabilities: StoreCapabilities = { durable: true, shared: true }
  readonly #pools: MysqlPools
  readonly #table: string
  // Made once: the library looks its prepared statements up by their text.
  readonly #getting: string
  readonly #setting: string
  readonly #maxValueBytes: number
  readonly #log: Logger
  readonly #sweeper: NodeJS.Timeout
  #closed = false

  constructor(
    pools: MysqlPools,
    table: string,
    { maxValueBytes, sweepIntervalMs }: { maxValueBytes: number; sweepIntervalMs: number },
    log: Logger,
  ) {
    this.#pools = pools
    this.#table = table
    this.#getting = `SELECT entry_value FROM ${table} WHERE entry_key = ? AND ${live}`
    this.#setting =
      `INSERT INTO ${table} (entry_key, entry_value, expires_at)` +
      ' VALUES (?, ?, UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND)' +
      ' ON DUPLICATE KEY UPDATE entry_value = VALUES(entry_value), expires_at = VALUES(expires_at)'
    this.#maxValueBytes = maxValueBytes
    this.#log = log
    this.#sweeper = setInterval(() => void this.#sweep(), sweepIntervalMs).unref()
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    const { rows } = await abortable(this.#pools.query(this.#getting, [keyBytes(key)]), signal)
    const value = rows[0]?.[0] as Buffer | undefined
    // A copy: the library gives a part of all that came with it.
    return value && new Uint8Array(value)
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    const bytes = keyBytes(key)
    const expiry = lifetime(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    // A copy: the statement may wait for a connection while the caller goes on.
    const values = [bytes, Buffer.from(value), expiry === undefined ? null : String(expiry * 1000)]
    await abortable(this.#pools.query(this.#setting, values), signal)
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    const sql = `DELETE FROM ${this.#table} WHERE entry_key = ? AND ${live}`
    return (await abortable(this.#pools.query(sql, [keyBytes(key)]), signal)).count > 0
  }

  async list({ prefix = '', suffix = '', limit = 1000, after, signal }: ListOptions = {}): Promise<
    readonly string[]
  > {
    this.#ready(signal)
    requireLimit(limit)
    const values: unknown[] = []
    const conditions = [live]
    const where = (condition: string, ...given: unknown[]) => {
      conditions.push(condition)
      values.push(...given)
    }
    if (prefix !== '') {
      const bytes = Buffer.from(prefix)
      where('entry_key >= ? AND entry_key < ?', bytes, afterPrefix(bytes))
    }
    if (suffix !== '') {
      const bytes = Buffer.from(suffix)
      where('RIGHT(entry_key, ?) = ?', String(bytes.length), bytes)
    }
    if (after !== undefined) where('entry_key > ?', Buffer.from(after))
    // As text: the server takes no number of the library's here.
    values.push(String(limit))
    const sql = `SELECT entry_key FROM ${this.#table} WHERE ${conditions.join(' AND ')} ORDER BY entry_key LIMIT ?`
    const { rows } = await abortable(this.#pools.query(sql, values), signal)
    return rows.map(([key]) => (key as Buffer).toString())
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

  /** Takes out what has expired, a few at a time. */
  async #sweep(): Promise<void> {
    const sql = `DELETE FROM ${this.#table} WHERE expires_at <= UTC_TIMESTAMP(3) LIMIT ${sweepSize}`
    try {
      while (!this.#closed && (await this.#pools.query(sql)).count === sweepSize);
    } catch (error) {
      if (!this.#closed) this.#log.debug('sweep failed', { error })
    }
  }
}
