import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  futimesSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { join } from 'node:path'

interface Written {
  readonly text: string
  readonly ino: number
  readonly mtimeMs: number
}

/** Writes files whole, one in place of another, and knows which of them are still the ones that it wrote. */
export class NodeFileWriter {
  readonly #path: string
  readonly #written = new Map<string, Written>()

  constructor(path: string) {
    this.#path = path
  }

  /** The same text again only sets the file's time. */
  write(name: string, text: string): void {
    if (this.#written.get(name)?.text === text && this.#touch(name, text)) return
    const path = join(this.#path, name)
    const temporary = join(this.#path, `.${name.replace('.json', '')}.${randomBytes(6).toString('hex')}.tmp`)
    try {
      writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 })
      const stats = lstatSync(temporary)
      renameSync(temporary, path)
      this.#remember(name, text, stats)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
  }

  remove(name: string): void {
    this.#written.delete(name)
    rmSync(join(this.#path, name), { force: true })
  }

  /** Removes what it wrote, except what another has written over. */
  removeOwn(): void {
    for (const [name, written] of this.#written) {
      const path = join(this.#path, name)
      try {
        const stats = lstatSync(path, { throwIfNoEntry: false })
        if (stats && isSame(written, stats)) rmSync(path, { force: true })
      } catch {
        // Out of reach; what is left there expires, or goes with the process.
      }
    }
    this.#written.clear()
  }

  #touch(name: string, text: string): boolean {
    const written = this.#written.get(name)
    let file: number
    try {
      file = openSync(join(this.#path, name), 'r+')
    } catch {
      return false
    }
    try {
      if (!written || !isSame(written, fstatSync(file))) return false
      const now = Date.now() / 1000
      futimesSync(file, now, now)
      this.#remember(name, text, fstatSync(file))
      return true
    } finally {
      closeSync(file)
    }
  }

  #remember(name: string, text: string, { ino, mtimeMs }: Stats): void {
    this.#written.set(name, { text, ino, mtimeMs })
  }
}

function isSame(written: Written, { ino, mtimeMs }: Stats): boolean {
  return written.ino === ino && written.mtimeMs === mtimeMs
}
