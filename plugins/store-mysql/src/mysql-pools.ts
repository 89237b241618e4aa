import { ServiceError, type Logger } from '@micrograft/contracts'
import { createPool, type Pool, type PoolConnection } from 'mysql2'
import { CallTime } from './call-time.js'
import { CheckOut, type Peer } from './check-out.js'
import type { MysqlAddress } from './mysql-address.js'
import { isElsewhere, isRefusal, mysqlError } from './mysql-error.js'
import { aboveLimit } from './packet-limit.js'

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

/** Deadlocks are the server's way to order what meets; the one that it ends did nothing. */
const deadlockTries = 5

/** A pool of connections for each address, of which the first that answers is used until it fails. */
export class MysqlPools implements AsyncDisposable {
  readonly #options: MysqlPoolsOptions
  readonly #log: Logger
  readonly #pools = new Map<MysqlAddress, Pool>()
  readonly #connections = new Map<PoolConnection, Peer>()
  /** Of the calls under way. */
  readonly #times = new Set<CallTime>()
  #current = 0
  #closed = false

  constructor(options: MysqlPoolsOptions, log: Logger) {
    this.#options = options
    this.#log = log
  }

  /** Runs one statement within `timeoutMs`, waiting for a connection included. */
  async query(sql: string, values: readonly unknown[] = []): Promise<MysqlResult> {
    const time = new CallTime(this.#options.timeoutMs)
    this.#times.add(time)
    try {
      for (let tries = deadlockTries; ; tries--) {
        const { connection, address } = await this.#connect(time)
        const { label = '', maxAllowedPacket = Infinity } = this.#connections.get(connection) ?? {}
        const refusal = aboveLimit(label, values, maxAllowedPacket)
        if (refusal) {
          connection.release()
          throw refusal
        }
        try {
          const result = await time.within<MysqlResult>((resolve, reject) =>
            run(connection, sql, values, resolve, reject),
          )
          connection.release()
          return result
        } catch (error) {
          // A refused statement leaves the connection as it was; any other failure leaves an answer to come.
          if (isRefusal(error)) connection.release()
          else connection.destroy()
          const { code } = error as { code?: string }
          if (code === 'ER_LOCK_DEADLOCK' && tries > 1 && time.leftMs > 0) continue
          if (isElsewhere(error)) this.#leave(address)
          throw this.#failure('cannot ask', error)
        }
      }
    } finally {
      time.clear()
      this.#times.delete(time)
    }
  }

  /** Ends every connection, also those that statements are under way on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const time of this.#times) time.end(closedError())
    for (const pool of this.#pools.values()) pool.end(() => undefined)
    await new Promise((resolve) => setImmediate(resolve))
    for (const connection of this.#connections.keys()) connection.destroy()
  }

  async #connect(
    time: CallTime,
  ): Promise<{ readonly connection: PoolConnection; readonly address: MysqlAddress }> {
    const { addresses } = this.#options
    for (let left = addresses.length; ; left--) {
      const address = addresses[this.#current] as MysqlAddress
      const checkOut = new CheckOut(this.#pool(address), this.#connections)
      try {
        const connection = await time.within<PoolConnection>(
          (resolve, reject) => checkOut.begin(resolve, reject),
          left,
        )
        return { connection, address }
      } catch (error) {
        checkOut.giveUp()
        if (this.#closed || left <= 1 || checkOut.waits || !isElsewhere(error))
          throw this.#failure('cannot reach', error)
        this.#log.warn('next address', { from: address.label, reason: (error as Error).message })
        this.#leave(address)
      }
    }
  }

  /** On to the next address, unless another call has gone on already. */
  #leave(address: MysqlAddress): void {
    const { addresses } = this.#options
    if (addresses[this.#current] === address) this.#current = (this.#current + 1) % addresses.length
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
      this.#connections.set(connection, { label: address.label, maxAllowedPacket: undefined })
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

/** As a prepared statement: bytes go as they are. */
function run(
  connection: PoolConnection,
  sql: string,
  values: readonly unknown[],
  resolve: (result: MysqlResult) => void,
  reject: (error: unknown) => void,
): void {
  connection.execute({ sql, values: values as never, rowsAsArray: true }, (error, result) => {
    if (error) reject(error)
    else if (Array.isArray(result)) resolve({ rows: result as unknown[][], count: result.length })
    else resolve({ rows: [], count: (result as { affectedRows: number }).affectedRows })
  })
}
