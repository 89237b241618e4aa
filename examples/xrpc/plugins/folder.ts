// Records in a folder, one file each: what the registry and the broker of this example keep theirs in.

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export class Folder<T> {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async put(name: string, record: T): Promise<void> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 })
    const temporary = join(this.#path, `.${randomUUID()}`)
    await writeFile(temporary, JSON.stringify(record), { mode: 0o600 })
    await rename(temporary, join(this.#path, `${encodeURIComponent(name)}.json`))
  }

  async delete(name: string): Promise<void> {
    await rm(join(this.#path, `${encodeURIComponent(name)}.json`), { force: true })
  }

  /** Every record by its name, sorted. */
  async all(): Promise<ReadonlyMap<string, T>> {
    const names = await readdir(this.#path).catch(() => [] as string[])
    const found = new Map<string, T>()
    for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
      const text = await readFile(join(this.#path, name), 'utf8').catch(() => undefined)
      if (text !== undefined) found.set(decodeURIComponent(name.slice(0, -5)), JSON.parse(text) as T)
    }
    return found
  }
}
