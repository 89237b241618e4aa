import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import v8 from 'node:v8'
import type { PluginFile } from '../format/plugin-file.js'

export interface CodeCacheOptions {
  /** A folder for this host alone; made with mode 0700 where it is missing. */
  readonly directory: string
  /** Bytes in the folder above which the entries that were not used for the longest time go. @default 268_435_456 (256 MiB) */
  readonly maxBytes?: number | undefined
}

const tagLength = 32

/**
 * V8's compiled form of plugin files, so that the next process need not parse them again.
 *
 * V8 checks of a cache only that the source has the same length: it would run other code than the
 * file's, or crash. So an entry is found by the file's hash together with the Node and V8 that made
 * it, and is authenticated with a key that lies in the folder, readable by its owner only. Whatever
 * goes wrong with an entry makes opening slower and never fails it.
 */
export class CodeCache {
  readonly #directory: string
  readonly #maxBytes: number
  #key: Promise<Buffer> | undefined

  constructor({ directory, maxBytes }: CodeCacheOptions) {
    this.#directory = directory
    this.#maxBytes = maxBytes ?? 268_435_456
  }

  /** The entry for `file`, or `undefined` where there is none to trust. */
  async get(file: PluginFile): Promise<Buffer | undefined> {
    const path = this.#path(file)
    try {
      const [key, entry] = await Promise.all([this.#readKey(), readFile(path)])
      const data = entry.subarray(tagLength)
      if (
        entry.length > tagLength &&
        timingSafeEqual(entry.subarray(0, tagLength), this.#tag(key, file, data))
      ) {
        return data
      }
      await rm(path, { force: true })
    } catch {
      return undefined
    }
    return undefined
  }

  /** Keeps `data` for the next time, or does nothing where the folder cannot be written to. */
  async put(file: PluginFile, data: Buffer): Promise<void> {
    try {
      const key = await this.#readKey()
      const path = this.#path(file)
      const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
      await writeFile(temporary, Buffer.concat([this.#tag(key, file, data), data]), { mode: 0o600 })
      await rename(temporary, path)
      await this.#trim()
    } catch {
      return
    }
  }

  /** Says that the entry for `file` was of use, which keeps it when others go. */
  async touch(file: PluginFile): Promise<void> {
    const now = new Date()
    await utimes(this.#path(file), now, now).catch(() => undefined)
  }

  async drop(file: PluginFile): Promise<void> {
    await rm(this.#path(file), { force: true }).catch(() => undefined)
  }

  #path(file: PluginFile): string {
    return join(this.#directory, `${identity(file)}.v8`)
  }

  #tag(key: Buffer, file: PluginFile, data: Buffer): Buffer {
    return createHmac('sha256', key).update(identity(file)).update(data).digest()
  }

  #readKey(): Promise<Buffer> {
    this.#key ??= makeKey(this.#directory).catch((error: unknown) => {
      this.#key = undefined
      throw error
    })
    return this.#key
  }

  async #trim(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.v8'))
    const entries = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#directory, name)
        const { size, mtimeMs } = await stat(path)
        return { path, size, mtimeMs }
      }),
    )
    entries.sort((a, b) => b.mtimeMs - a.mtimeMs)
    let total = 0
    for (const { path, size } of entries) {
      total += size
      if (total > this.#maxBytes) await rm(path, { force: true })
    }
  }
}

/** Everything that must be the same for an entry to fit. */
function identity({ id, bytes, path }: PluginFile): string {
  const parts = [id, bytes.length, path, process.version, process.arch, v8.cachedDataVersionTag()]
  return createHash('sha256').update(parts.join('\n')).digest('hex')
}

async function makeKey(directory: string): Promise<Buffer> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'key')
  try {
    // Whoever comes first makes it; the others read it.
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(randomBytes(32))
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const key = await readFile(path)
  if (key.length !== 32) throw new Error('the key of the code cache is damaged')
  return key
}
