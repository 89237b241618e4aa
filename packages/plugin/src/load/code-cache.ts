import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import v8 from 'node:v8'
import { PluginError, systemCode } from '../errors.js'
import { requireCount, resolveOptions } from '../options.js'
import { withFile } from './open-file.js'

export interface CodeCacheOptions {
  /** A folder for this host alone; made with mode 0700 where it is missing. */
  readonly directory: string
  /** Bytes in the folder above which the entries that were not used for the longest time go. @default 268_435_456 (256 MiB) */
  readonly maxBytes?: number | undefined
}

/** What tells one text that is compiled from every other. */
export interface CompiledText {
  /** The plugin file's. */
  readonly id: string
  /** Of the plugin file, in bytes. */
  readonly size: number
  /** What the host compiles around the file's text. */
  readonly surroundings: string
}

const tagLength = 32

/** An entry, or one that is being written. */
const ownName = /^[0-9a-f]{64}\.v8(?:\.[0-9a-f]{12}\.tmp)?$/

/** After so long an entry that is not finished was left by a process that was killed. */
const abandonedMs = 60_000

/**
 * V8's compiled form of plugin files, so that the next process need not parse them again.
 *
 * V8 checks of a cache only that the source has the same length: it would run other code than the
 * file's, or crash. So what is kept is bound to the file's hash, to its path and to the Node and V8
 * that made it, by a key that lies in the folder, readable by its owner only. Whatever goes wrong
 * with an entry makes opening slower and never fails it.
 */
export class CodeCache {
  readonly #directory: string
  readonly #maxBytes: number
  #key: Promise<Buffer> | undefined

  /** @throws `invalid-option` */
  constructor(options: CodeCacheOptions) {
    const given = resolveOptions(
      'the options of a code cache',
      { directory: '', maxBytes: 268_435_456 },
      options,
    )
    if (typeof given.directory !== 'string' || given.directory === '')
      throw new PluginError(
        'invalid-option',
        'a code cache has no directory; name a folder for this host alone',
      )
    requireCount('maxBytes', given.maxBytes, 0)
    this.#directory = resolve(given.directory)
    this.#maxBytes = given.maxBytes
  }

  /**
   * The entry of the file at `path`, which is read from now on. A path has one entry, not each
   * content: so it is read while the file is, and what was kept for old content is written over.
   */
  at(path: string): CodeCacheEntry {
    this.#key ??= readKey(this.#directory).catch((error: unknown) => {
      this.#key = undefined
      throw error
    })
    return new CodeCacheEntry(this.#directory, path, this.#key, () => this.#trim())
  }

  async #trim(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => ownName.test(name))
    const looked = names.map(async (name) => {
      const path = join(this.#directory, name)
      const { size, mtimeMs } = await stat(path)
      return { path, size, mtimeMs, unfinished: name.endsWith('.tmp') }
    })
    // One that is gone meanwhile was another process's.
    const files = (await Promise.allSettled(looked)).flatMap((each) =>
      each.status === 'fulfilled' ? [each.value] : [],
    )
    files.sort((a, b) => b.mtimeMs - a.mtimeMs)
    let total = 0
    for (const { path, size, mtimeMs, unfinished } of files) {
      if (!unfinished) total += size
      const gone = unfinished ? Date.now() - mtimeMs > abandonedMs : total > this.#maxBytes
      if (gone) await rm(path, { force: true })
    }
  }
}

/** What a `CodeCache` keeps for the file at one path. */
export class CodeCacheEntry {
  readonly #path: string
  readonly #maker: readonly (string | number)[]
  readonly #key: Promise<Buffer>
  readonly #kept: Promise<Buffer | undefined>
  readonly #trim: () => Promise<void>

  constructor(directory: string, path: string, key: Promise<Buffer>, trim: () => Promise<void>) {
    this.#maker = [path, process.version, process.arch, v8.cachedDataVersionTag()]
    this.#path = join(directory, `${hash('sha256', JSON.stringify(this.#maker))}.v8`)
    this.#key = key
    this.#kept = readEntry(this.#path)
    this.#trim = trim
    // Told to whoever asks for the data.
    key.catch(() => undefined)
  }

  /** The compiled form of `text`, or `undefined` where there is none to trust. */
  async read(text: CompiledText): Promise<Buffer | undefined> {
    try {
      const kept = await this.#kept
      const data = kept?.subarray(tagLength)
      // Without an entry the key is not waited for: making it can hang where the folder is a strange one.
      if (!kept || !data || data.length === 0) return undefined
      const key = await this.#key
      return timingSafeEqual(kept.subarray(0, tagLength), this.#tag(key, text, data)) ? data : undefined
    } catch {
      return undefined
    }
  }

  /** Keeps the compiled form of `text` for the next time, or does nothing where the folder cannot be written to. */
  async write(text: CompiledText, data: Buffer): Promise<void> {
    try {
      const key = await this.#key
      const temporary = `${this.#path}.${randomBytes(6).toString('hex')}.tmp`
      await writeFile(temporary, Buffer.concat([this.#tag(key, text, data), data]), { mode: 0o600 })
      await rename(temporary, this.#path)
      await this.#trim()
    } catch {
      return
    }
  }

  /** Says that the entry was of use, which keeps it when others go. */
  async touch(): Promise<void> {
    const now = new Date()
    await utimes(this.#path, now, now).catch(() => undefined)
  }

  async drop(): Promise<void> {
    await rm(this.#path, { force: true }).catch(() => undefined)
  }

  #tag(key: Buffer, { id, size, surroundings }: CompiledText, data: Buffer): Buffer {
    // JSON ends where it ends: no part of it can be taken for data.
    const about = JSON.stringify([...this.#maker, id, size, surroundings])
    return createHmac('sha256', key).update(about).update(data).digest()
  }
}

async function readEntry(path: string): Promise<Buffer | undefined> {
  try {
    return await withFile(path, (file) => file.read(Number(file.stat().size)))
  } catch {
    return undefined
  }
}

async function readKey(directory: string): Promise<Buffer> {
  const path = join(directory, 'key')
  const key = await readOwnKey(path).catch(async (error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error
    await makeKey(directory, path)
    return readOwnKey(path)
  })
  if (!key) {
    // The next to ask makes another.
    await rm(path, { force: true })
    throw new Error('the key of the code cache is damaged, or known to others')
  }
  return key
}

/**
 * The key, or `undefined` where it is none, or others can read or write it: who knows it can make
 * entries, which are code that is run.
 */
function readOwnKey(path: string): Promise<Buffer | undefined> {
  return withFile(path, async (file) => {
    const { uid, mode, size } = file.stat()
    // Windows has neither.
    const user = process.geteuid?.()
    if (user !== undefined && uid !== BigInt(user))
      throw new Error("the key of the code cache is another user's")
    if (user !== undefined && (mode & 0o077n) !== 0n) return undefined
    return size === 32n ? file.read(32) : undefined
  })
}

async function makeKey(directory: string, path: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeFile(temporary, randomBytes(32), { mode: 0o600 })
    // Whoever comes first makes it, whole at once; the others read it.
    await link(temporary, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
}
