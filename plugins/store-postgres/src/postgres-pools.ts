import { ServiceError, type Logger } from '@micrograft/contracts'
import { abortable } from '@micrograft/plugin-kit'
import { Pool, Query, type PoolClient, type QueryResult } from 'pg'
import type { PostgresAddress } from './postgres-address.js'
import { isElsewhere, isForgotten, postgresError } from './postgres-error.js'

export interface PostgresPoolsOptions {
  readonly addresses: readonly PostgresAddress[]
  readonly timeoutMs: number
  readonly maxConnections: number
  readonly maxWaiting: number
}

/** Columns, as pg reads them: `bytea` as a Buffer. */
export type Row = Readonly<Record<string, unknown>>

/** A pool of connections for each address, of which the first that answers is used until it fails. */
export class PostgresPools implements AsyncDisposable {
  readonly #options: PostgresPoolsOptions
  readonly #log: Logger
  readonly #pools = new Map<PostgresAddress, Pool>()
  readonly #clients = new Set<PoolClient>()
  readonly #ending = new AbortController()
  #current = 0
  #closed = false

  constructor(options: PostgresPoolsOptions, log: Logger) {
    this.#options = options
    this.#log = log
  }

  /**
   * Runs one statement within `timeoutMs`, waiting for a connection included.
   * @param name Under which the server keeps it prepared on each connection, always for this text. @default it does not
   */
  async query(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<{ rows: Row[]; count: number }> {
    const end = performance.now() + this.#options.timeoutMs
    for (let prepared = name; ; prepared = undefined) {
      const { client, address } = await this.#connect()
      try {
        const result = await ask(client, text, values, prepared, end - performance.now())
        client.release()
        return { rows: result.rows, count: result.rowCount ?? 0 }
      } catch (error) {
        const { severity } = error as { severity?: string }
        const forgotten = isForgotten(error)
        // A refused statement leaves the connection as it was; any other failure leaves an answer to come.
        if (severity === 'ERROR' && !forgotten) client.release()
        else this.#drop(client)
        if (forgotten && prepared !== undefined) continue
        if (isElsewhere(error)) this.#leave(address)
        throw this.#failure('cannot ask', error)
      }
    }
  }

  /** Ends every connection, also those that statements are under way on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#ending.abort()
    for (const pool of this.#pools.values()) void pool.end().catch(() => undefined)
    // What asks to end politely, a server that stands still would keep open.
    await new Promise((resolve) => setImmediate(resolve))
    for (const client of this.#clients) destroy(client)
  }

  async #connect(): Promise<{ readonly client: PoolClient; readonly address: PostgresAddress }> {
    const { addresses, maxWaiting } = this.#options
    for (let left = addresses.length; ; left--) {
      const address = addresses[this.#current] as PostgresAddress
      const pool = this.#pool(address)
      if (pool.waitingCount >= maxWaiting)
        throw new ServiceError(
          'overloaded',
          `${maxWaiting} calls of the postgres store wait for a connection; slow down, or raise maxConnections`,
        )
      try {
        const waits = pool.idleCount <= pool.waitingCount
        const connecting = pool.connect()
        // The pool ends only what it has, and not what waits for it.
        const client = await (waits ? abortable(connecting, this.#ending.signal) : connecting)
        return { client, address }
      } catch (error) {
        if (this.#closed || left <= 1 || !isElsewhere(error)) throw this.#failure(`cannot reach`, error)
        this.#log.warn('next address', { from: address.label, reason: (error as Error).message })
        this.#leave(address)
      }
    }
  }

  /** On to the next address, unless another call has gone on already. */
  #leave(address: PostgresAddress): void {
    const { addresses } = this.#options
    if (addresses[this.#current] === address) this.#current = (this.#current + 1) % addresses.length
  }

  #pool(address: PostgresAddress): Pool {
    if (this.#closed) throw closedError()
    let pool = this.#pools.get(address)
    if (pool) return pool
    const { timeoutMs, maxConnections, addresses } = this.#options
    pool = new Pool({
      ...address.config,
      max: maxConnections,
      connectionTimeoutMillis: Math.ceil(timeoutMs / addresses.length),
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true,
      keepAlive: true,
      application_name: 'micrograft',
    })
    pool.on('connect', (client) => {
      if (this.#closed) destroy(client)
      this.#clients.add(client)
      // The pool listens only to those that are idle; the others' statements fail.
      client.on('error', () => undefined)
      client.once('end', () => this.#clients.delete(client))
    })
    // An idle connection that is lost: the next call makes another.
    pool.on('error', (error) => this.#log.debug('connection lost', { reason: error.message }))
    this.#pools.set(address, pool)
    return pool
  }

  #drop(client: PoolClient): void {
    client.release(true)
    destroy(client)
    this.#clients.delete(client)
  }

  #failure(what: string, error: unknown): ServiceError {
    if (this.#closed) return closedError()
    return postgresError(
      `${what} PostgreSQL at ${this.#options.addresses.map(({ label }) => label).join()}`,
      error,
    )
  }
}

export function closedError(): ServiceError {
  return new ServiceError('closed', 'the postgres store is closed; open another')
}

/**
 * As a `Query`: an object instead is copied by the library, property by property, which takes 4 of the
 * 24 µs of processor time that a call does.
 */
function ask(
  client: PoolClient,
  text: string,
  values: readonly unknown[],
  name: string | undefined,
  timeoutMs: number,
): Promise<QueryResult<Row>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Query read timeout')), timeoutMs)
    const query = new Query<Row>(text, values as unknown[], (error, result) => {
      clearTimeout(timer)
      if (error) reject(error)
      else resolve(result)
    })
    client.query(Object.assign(query, { name }))
  })
}

function destroy(client: PoolClient): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
