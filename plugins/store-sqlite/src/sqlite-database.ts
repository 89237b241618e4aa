import { statSync } from 'node:fs'
import { ServiceError } from '@micrograft/contracts'
import { nodeSqlite, type Database, type Statement } from './node-sqlite.js'
import { isBusy, sqliteError } from './sqlite-error.js'

/** Longest pause between two tries, in milliseconds. */
const longestPauseMs = 20

/**
 * One connection to a database file. SQLite works in the calling thread, which must not stand still
 * while another process has the file: what is busy is tried again later.
 */
export class SqliteDatabase implements Disposable {
  readonly #path: string
  readonly #timeoutMs: number
  readonly #database: Database
  /** Which file it opened. */
  readonly #file: string | undefined
  readonly #statements = new Map<string, Statement>()
  readonly #waiting = new Set<() => void>()
  #closed = false

  constructor(path: string, timeoutMs: number) {
    this.#path = path
    this.#timeoutMs = timeoutMs
    const { DatabaseSync } = nodeSqlite()
    try {
      this.#database = new DatabaseSync(path)
      this.#database.exec('PRAGMA busy_timeout = 0')
      this.#file = fileAt(path)
    } catch (error) {
      throw sqliteError(path, error)
    }
  }

  exec(sql: string): Promise<void> {
    return this.#patiently(() => this.#database.exec(sql))
  }

  /** @param sql One of a few texts: its statement is kept. */
  all(sql: string, values: readonly unknown[] = []): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#patiently(() => this.#statement(sql).all(...values))
  }

  /**
   * How many rows it changed. SQLite would write on into a file that was deleted or moved, where nobody
   * finds it; to look costs 1 µs.
   */
  run(sql: string, values: readonly unknown[] = []): Promise<number> {
    return this.#patiently(() => {
      if (fileAt(this.#path) !== this.#file)
        throw new ServiceError(
          'unavailable',
          `the file ${this.#path} was deleted or replaced while it was open; put it back, or open the store again`,
        )
      return Number(this.#statement(sql).run(...values).changes)
    })
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    this.#statements.clear()
    this.#database.close()
    for (const wake of this.#waiting) wake()
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }

  async #patiently<T>(work: () => T): Promise<T> {
    const end = performance.now() + this.#timeoutMs
    for (let pauseMs = 1; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      if (this.#closed) throw closedError()
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || performance.now() + pauseMs > end) throw sqliteError(this.#path, error)
      }
      await this.#pause(pauseMs)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      this.#waiting.add(wake)
    })
  }
}

function fileAt(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && `${found.dev}/${found.ino}`
}

export function closedError(): ServiceError {
  return new ServiceError('closed', 'the sqlite store is closed; open another')
}
