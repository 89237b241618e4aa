import type { Pool, PoolConnection, RowDataPacket } from 'mysql2'
import { isRefusal } from './mysql-error.js'

/** The server at the other end of a connection. */
export interface Peer {
  readonly label: string
  /** In bytes. `undefined` until it was asked for. */
  maxAllowedPacket: number | undefined
}

/** One try to get a connection of a pool's whose server has told its limit: each is asked once. */
export class CheckOut {
  readonly #pool: Pool
  readonly #peers: ReadonlyMap<PoolConnection, Peer>
  #asked: PoolConnection | undefined
  #givenUp = false
  #waits = false

  constructor(pool: Pool, peers: ReadonlyMap<PoolConnection, Peer>) {
    this.#pool = pool
    this.#peers = peers
  }

  begin(resolve: (connection: PoolConnection) => void, reject: (error: unknown) => void): void {
    const onWait = () => (this.#waits = true)
    this.#pool.once('enqueue', onWait)
    this.#pool.getConnection((error, connection) => {
      if (error) return reject(error)
      this.#waits = false
      if (this.#givenUp) return connection.release()
      const peer = this.#peers.get(connection)
      if (!peer || peer.maxAllowedPacket !== undefined) return resolve(connection)
      this.#asked = connection
      askLimit(connection, (failure, bytes) => {
        if (failure) return reject(failure)
        peer.maxAllowedPacket = bytes
        resolve(connection)
      })
    })
    this.#pool.off('enqueue', onWait)
  }

  /** Whether it waits because all connections are in use: the server is not at fault. */
  get waits(): boolean {
    return this.#waits
  }

  /** Nobody waits any more: a connection that comes later goes back, and one that does not answer goes. */
  giveUp(): void {
    this.#givenUp = true
    this.#asked?.destroy()
  }
}

function askLimit(connection: PoolConnection, tell: (failure: unknown, bytes: number) => void): void {
  const sql = 'SELECT @@max_allowed_packet AS bytes'
  connection.query<RowDataPacket[]>(sql, (error, rows) => {
    // What stands between may not know it; the server then refuses by itself.
    if (error) tell(isRefusal(error) ? undefined : error, Infinity)
    else tell(undefined, Number(rows[0]?.['bytes'] ?? Infinity))
  })
}
