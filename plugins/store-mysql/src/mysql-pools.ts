import { ServiceError, type Logger } from '@micrograft/contracts'
import { createPool, type Pool, type PoolConnection } from 'mysql2'
import type { MysqlAddress } from './mysql-address.js'
import { isElsewhere, isRefusal, mysqlError, timedOut } from './mysql-error.js'

export interface MysqlPoolsOptions {
  readonly addresses: readonly MysqlAddress[]
  readonly timeoutMs: number
  readonly maxConnections: number
  readonly maxWaiting: number
}

export interface MysqlResult {
  readonly rows: readonly (readonly unknown[])[]
  /** Rows that were changed. */
  readonly count: number
}

type Waits = Set<(error: Error) => void>

/** Deadlocks are the server's way to order what meets; the one that it ends did nothing. */
const deadlockTries = 5

/** A pool of connections for each address, of which the first that answers is used until it fails. */
export class MysqlPools implements AsyncDisposable {
  readonly #options: MysqlPoolsOptions
  readonly #log: Logger
  readonly #pools = new Map<MysqlAddress, Pool>()
  readonly #connections = new Set<PoolConnection>()
  /** Ends each wait that there is. */
  readonly #waits: Waits = new Set()
  #current = 0
  #closed = false

  constructor(options: MysqlPoolsOptions, log: Logger) {
    this.#options = options
    this.#log = log
  }

  /** Runs one statement within `timeoutMs`, waiting for a connection included. */
  async query(sql: string, values: readonly unknown[] = []): Promise<MysqlResult> {
    const end = performance.now() + this.#options.timeoutMs
    for (let tries = deadlockTries; ; tries--) {
      const connection = await this.#connect(end)
      try {
        const result = await run(connection, sql, values, Math.max(1, end - performance.now()), this.#waits)
        connection.release()
        return result
      } catch (error) {
        // A refused statement leaves the connection as it was; any other failure leaves an answer to come.
        if (isRefusal(error)) connection.release()
        else connection.destroy()
        const { code } = error as { code?: string }
        if (code === 'ER_LOCK_DEADLOCK' && tries > 1 && performance.now() < end) continue
        if (isElsewhere(error)) this.#current = (this.#current + 1) % this.#options.addresses.length
        throw this.#failure('cannot ask', error)
      }
    }
  }

  /** Ends every connection, also those that statements are under way on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const end of this.#waits) end(closedError())
    for (const pool of this.#pools.values()) pool.end(() => undefined)
    await new Promise((resolve) => setImmediate(resolve))
    for (const connection of this.#connections) connection.destroy()
  }

  async #connect(end: number): Promise<PoolConnection> {
    const { addresses } = this.#options
    for (let left = addresses.length; ; left--) {
      const address = addresses[this.#current] as MysqlAddress
      try {
        return await checkOut(this.#pool(address), Math.max(1, (end - performance.now()) / left), this.#waits)
      } catch (error) {
        if (this.#closed || left <= 1 || !isElsewhere(error)) throw this.#failure('cannot reach', error)
        this.#log.warn('next address', { from: address.label, reason: (error as Error).message })
        // Another call may have gone on already.
        if (addresses[this.#current] === address) this.#current = (this.#current + 1) % addresses.length
      }
    }
  }

  #pool(address: MysqlAddress): Pool {
    if (this.#closed) throw closedError()
    let pool = this.#pools.get(address)
    if (pool) return pool
    const { timeoutMs, maxConnections, maxWaiting, addresses } = this.#options
    pool = createPool({
      ...address.config,
      connectionLimit: maxConnections,
      queueLimit: maxWaiting,
      connectTimeout: Math.ceil(timeoutMs / addresses.length),
      idleTimeout: 30_000,
      maxIdle: maxConnections,
      enableKeepAlive: true,
      // Of each connection, on the server; a store has eight statements or so.
      maxPreparedStatements: 64,
      charset: 'utf8mb4',
      timezone: 'Z',
      flags: ['-LOCAL_FILES'],
    })
    pool.on('connection', (connection: PoolConnection) => {
      this.#connections.add(connection)
      // An idle connection that is lost: the next call makes another.
      connection.on('error', (error: Error) => this.#log.debug('connection lost', { reason: error.message }))
      connection.once('end', () => this.#connections.delete(connection))
      const { stream } = connection as unknown as { stream: NodeJS.EventEmitter }
      stream.once('close', () => this.#connections.delete(connection))
    })
    this.#pools.set(address, pool)
    return pool
  }

  #failure(what: string, error: unknown): ServiceError {
    if (this.#closed) return closedError()
    return mysqlError(`${what} MySQL at ${this.#options.addresses.map(({ label }) => label).join()}`, error)
  }
}

export function closedError(): ServiceError {
  return new ServiceError('closed', 'the mysql store is closed; open another')
}

/** A connection of the pool's, in time; one that comes later goes back. */
function checkOut(pool: Pool, timeoutMs: number, waits: Waits): Promise<PoolConnection> {
  let given = false
  return within<PoolConnection>(timeoutMs, waits, 'no connection in time', (resolve, reject) => {
    pool.getConnection((error, connection) => {
      if (error) reject(error)
      else if (given) connection.release()
      else resolve(connection)
    })
  }).finally(() => (given = true))
}

/** As a prepared statement: bytes go as they are. The library's own timeout leaves preparing out. */
function run(
  connection: PoolConnection,
  sql: string,
  values: readonly unknown[],
  timeoutMs: number,
  waits: Waits,
): Promise<MysqlResult> {
  return within(timeoutMs, waits, 'no answer in time', (resolve, reject) => {
    connection.execute({ sql, values: [...values] as never, rowsAsArray: true }, (error, result) => {
      if (error) reject(error)
      else if (Array.isArray(result)) resolve({ rows: result as unknown[][], count: result.length })
      else resolve({ rows: [], count: (result as { affectedRows: number }).affectedRows })
    })
  })
}

/** The library calls back to nobody whose connection was destroyed, so time and closing are held to here. */
function within<T>(
  timeoutMs: number,
  waits: Waits,
  late: string,
  work: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let end: (error: Error) => void = () => {}
  return new Promise<T>((resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(late), { code: timedOut })), timeoutMs)
    waits.add((end = reject))
    work(resolve, reject)
  }).finally(() => {
    clearTimeout(timer)
    waits.delete(end)
  })
}
