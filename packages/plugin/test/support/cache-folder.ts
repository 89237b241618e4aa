import { readdir, readFile, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from './until.js'

/** What a platform keeps in its code cache's folder. */
export class CacheFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** The paths of the entries. */
  async entries(): Promise<string[]> {
    const names = await readdir(this.path).catch(() => [])
    return names.filter((name) => name.endsWith('.v8')).map((name) => join(this.path, name))
  }

  /** Waits until there is an entry that is not among `known`, and gives its path. */
  added(known: readonly string[] = []): Promise<string> {
    return until('an entry is written', async () =>
      (await this.entries()).find((each) => !known.includes(each)),
    )
  }

  /** Waits until an entry holds other bytes than these. */
  async rewritten(entry: string, bytes: Buffer): Promise<void> {
    await until('the entry is written again', async () => {
      const now = await readFile(entry).catch(() => bytes)
      return !now.equals(bytes) && now.length > 0
    })
  }

  /** Dates an entry to `secondsAgo`. */
  async age(entry: string, secondsAgo: number): Promise<void> {
    const date = new Date(Date.now() - secondsAgo * 1000)
    await utimes(entry, date, date)
  }

  /** Waits until an entry that was aged has been used: a platform dates what it used, and V8 took, to now. */
  async used(entry: string): Promise<void> {
    await until('the entry is used', async () => Date.now() - (await stat(entry)).mtimeMs < 60_000)
  }
}
