import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
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
} from '@micrograft/plugin-kit'
import { closedError, SqliteDatabase } from './sqlite-database.js'
import { sqliteError } from './sqlite-error.js'

export interface SqliteStoreOptions {
  /** The folder, made with mode 0700 where it is missing; the first counts. @default `micrograft/sqlite` in the system's temporary folder */
  readonly addresses?: readonly string[] | undefined
  /** The file in it. @default `store.db` */
  readonly database?: string | undefined
  /** The table. @default the service's name */
  readonly table?: string | undefined
  /** Makes the table where it is missing. @default true */
  readonly createTable?: boolean | undefined
  /** `normal`: what is set outlives a crash of the process; `full`: of the machine too, for one write to the disk a call. @default `normal` */
  readonly synchronous?: 'normal' | 'full' | undefined
  /** Longest time that a call waits while another process writes, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
  /** Largest value, in bytes. @default 16_777_216 (16 MiB) */
  readonly maxValueBytes?: number | undefined
  /** Time between two sweeps of expired entries, in milliseconds. @default 60_000 */
  readonly sweepIntervalMs?: number | undefined
}

const defaults = {
  addresses: undefined,
  database: 'store.db',
  table: undefined,
  createTable: true,
  synchronous: 'normal' as 'normal' | 'full',
  timeoutMs: 5000,
  maxValueBytes: 16_777_216,
  sweepIntervalMs: 60_000,
}

/** Keeps entries in a table of an SQLite file, for all processes of the machine that use it. */
export async function sqliteStore(
  given: SqliteStoreOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Store> {
  const what = 'the options of the sqlite store'
  const options = resolveOptions(what, defaults, given)
  requireNumbers(what, options, {
    timeoutMs: aTimer,
    maxValueBytes: aCount,
    sweepIntervalMs: aTimer,
  })
  const { addresses = [join(tmpdir(), 'micrograft', 'sqlite')], database: file, synchronous } = options
  if (typeof file !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(file))
    throw invalid(`the database ${JSON.stringify(file)} is none; use letters, digits, ".", "_" and "-"`)
  if (synchronous !== 'normal' && synchronous !== 'full')
    throw invalid(`synchronous is ${JSON.stringify(synchronous)}; use normal or full`)
  const table = quoted(options.table ?? service)
  // Of a text the first would be a letter, or the root.
  if (!Array.isArray(addresses) || typeof addresses[0] !== 'string' || addresses[0] === '')
    throw invalid(`${what}: addresses are no list of a folder; give one, or leave the option out`)
  const folder = resolve(addresses[0])
  const path = join(folder, file)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw sqliteError(path, error)
  })
  signal.throwIfAborted()
  const database = new SqliteDatabase(path, options.timeoutMs)
  try {
    await abortable(prepare(database, table, options), signal)
  } catch (error) {
    database[Symbol.dispose]()
    throw error
  }
  return new SqliteStore(database, table, options, log)
}

function quoted(table: string): string {
  if (typeof table === 'string' && /^(?!sqlite_)[^\0]{1,128}$/isu.test(table))
    return `"${table.replaceAll('"', '""')}"`
  throw invalid(
    `the table ${JSON.stringify(String(table).slice(0, 64))} is none; give a name of 1 to 128 characters that does not begin with sqlite_`,
  )
}

function invalid(message: string): ServiceError {
  return new ServiceError('invalid-option', message)
}

async function prepare(
  database: SqliteDatabase,
  table: string,
  { createTable, synchronous }: { createTable: boolean; synchronous: 'normal' | 'full' },
): Promise<void> {
  await database.exec('PRAGMA journal_mode = WAL')
  await database.exec(`PRAGMA synchronous = ${synchronous}`)
  if (createTable) {
    await database.exec(
      `CREATE TABLE IF NOT EXISTS ${table} (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, expires_at INTEGER)`,
    )
    const index = `"${table.slice(1, -1)}_expires_at"`
    await database.exec(
      `CREATE INDEX IF NOT EXISTS ${index} ON ${table} (expires_at) WHERE expires_at IS NOT NULL`,
    )
  }
  await database.all(`SELECT key, value, expires_at FROM ${table} LIMIT 0`)
}

const live = '(expires_at IS NULL OR expires_at > ?)'
/** Entries that one statement of a sweep takes out: the thread stands still for it. */
const sweepSize = 500

class SqliteStore implements Store {
  readonly name = 'sqlite'
  readonly capabilities: StoreCapabilities = { durable: true, shared: true }
  readonly #database: SqliteDatabase
  readonly #table: string
  readonly #maxValueBytes: number
  readonly #log: Logger
  readonly #sweeper: NodeJS.Timeout
  #closed = false

  constructor(
    database: SqliteDatabase,
    table: string,
    { maxValueBytes, sweepIntervalMs }: { maxValueBytes: number; sweepIntervalMs: number },
    log: Logger,
  ) {
    this.#database = database
    this.#table = table
    this.#maxValueBytes = maxValueBytes
    this.#log = log
    this.#sweeper = setInterval(() => void this.#sweep(), sweepIntervalMs).unref()
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    const sql = `SELECT value FROM ${this.#table} WHERE key = ? AND ${live}`
    const rows = await abortable(this.#database.all(sql, [keyBytes(key), Date.now()]), signal)
    return rows[0]?.['value'] as Uint8Array | undefined
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    const bytes = keyBytes(key)
    const expiry = lifetime(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    const sql =
      `INSERT INTO ${this.#table} (key, value, expires_at) VALUES (?, ?, ?)` +
      ' ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at'
    // A copy: the statement may be tried again while the caller goes on.
    const values = [bytes, value.slice(), expiry === undefined ? null : Date.now() + expiry]
    await abortable(this.#database.run(sql, values), signal)
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    const sql = `DELETE FROM ${this.#table} WHERE key = ? AND ${live}`
    return (await abortable(this.#database.run(sql, [keyBytes(key), Date.now()]), signal)) > 0
  }

  async list({ prefix = '', suffix = '', limit = 1000, after, signal }: ListOptions = {}): Promise<
    readonly string[]
  > {
    this.#ready(signal)
    requireLimit(limit)
    const conditions = [live]
    const values: unknown[] = [Date.now()]
    const where = (condition: string, ...given: unknown[]) => {
      conditions.push(condition)
      values.push(...given)
    }
    if (prefix !== '') {
      const bytes = Buffer.from(prefix)
      where('key >= ? AND key < ?', bytes, afterPrefix(bytes))
    }
    if (suffix !== '') {
      const bytes = Buffer.from(suffix)
      where('substr(key, ?) = ?', -bytes.length, bytes)
    }
    if (after !== undefined) where('key > ?', Buffer.from(after))
    const sql = `SELECT key FROM ${this.#table} WHERE ${conditions.join(' AND ')} ORDER BY key LIMIT ?`
    const rows = await abortable(this.#database.all(sql, [...values, limit]), signal)
    return rows.map(({ key }) => Buffer.from(key as Uint8Array).toString())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#database[Symbol.dispose]()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError()
  }

  /** Takes out what has expired, a few at a time. */
  async #sweep(): Promise<void> {
    const sql = `DELETE FROM ${this.#table} WHERE key IN (SELECT key FROM ${this.#table} WHERE expires_at <= ? LIMIT ${sweepSize})`
    try {
      while (!this.#closed && (await this.#database.run(sql, [Date.now()])) === sweepSize)
        await new Promise((resolve) => setImmediate(resolve))
    } catch (error) {
      if (!this.#closed) this.#log.debug('sweep failed', { error })
    }
  }
}
