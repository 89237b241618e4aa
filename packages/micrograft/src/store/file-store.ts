import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  requireNumber,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type ListOptions,
  type SetOptions,
  type Store,
  type StoreCapabilities,
} from '@micrograft/contracts'
import { requireKey, requireTtl, requireValue } from '@micrograft/plugin-kit'
import { decodeEntry, encodeEntry, type FileEntry } from './file-entry.js'
import { selectKeys } from './store-key.js'

export interface FileStoreOptions {
  /** The folder, made with mode 0700 where it is missing; the first counts. @default `micrograft/store` in the system's temporary folder */
  readonly addresses?: readonly string[] | undefined
  /** A folder in it. @default `default` */
  readonly database?: string | undefined
  /** A folder in that. @default the service's name */
  readonly table?: string | undefined
  /** Largest value, in bytes. @default 16_777_216 (16 MiB) */
  readonly maxValueBytes?: number | undefined
}

/** Keeps each entry in a file of its own, written whole or not at all, for all processes that use the folder. */
export function fileStore(options: FileStoreOptions | undefined, { service }: ComponentContext): Store {
  const { addresses, database, table, maxValueBytes } = resolveOptions(
    'the options of the file store',
    {
      addresses: [join(tmpdir(), 'micrograft', 'store')] as readonly string[],
      database: 'default',
      table: service,
      maxValueBytes: 16_777_216,
    },
    options,
  )
  requireNumber('maxValueBytes of the file store', maxValueBytes, { min: 0 })
  for (const [name, value] of Object.entries({ database, table })) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value))
      throw new ServiceError(
        'invalid-option',
        `the ${name} ${JSON.stringify(value)} is none; use letters, digits, ".", "_" and "-"`,
      )
  }
  return new FileStore(resolve(addresses[0] ?? '.', database, table), maxValueBytes)
}

class FileStore implements Store {
  readonly name = 'file'
  readonly capabilities: StoreCapabilities = { durable: true, shared: true }
  readonly #folder: string
  readonly #maxValueBytes: number
  #closed = false

  constructor(folder: string, maxValueBytes: number) {
    this.#folder = folder
    this.#maxValueBytes = maxValueBytes
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    requireKey(key)
    return (await this.#read(this.#path(key)))?.value
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    requireKey(key)
    requireTtl(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    const bytes = encodeEntry({ key, value, expiresAt: ttlMs === undefined ? 0 : Date.now() + ttlMs })
    await translated(async () => {
      const path = this.#path(key)
      const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
      try {
        const file = await this.#create(temporary)
        try {
          await file.writeFile(bytes)
          // Its name may wait in the system's memory; when the machine crashes, the entry is whole, or as it was before.
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(temporary, path)
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
    })
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    requireKey(key)
    const path = this.#path(key)
    const there = (await this.#read(path)) !== undefined
    await translated(() => rm(path, { force: true }))
    return there
  }

  async list(options: ListOptions = {}): Promise<readonly string[]> {
    this.#ready(options.signal)
    const names = await translated(() => readdir(this.#folder)).catch((error: ServiceError) => {
      if ((error.cause as NodeJS.ErrnoException).code === 'ENOENT') return [] as string[]
      throw error
    })
    const keys: string[] = []
    for (const name of names) {
      if (!name.endsWith('.entry')) continue
      options.signal?.throwIfAborted()
      const entry = await this.#read(join(this.#folder, name))
      if (entry) keys.push(entry.key)
    }
    return selectKeys(keys, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the file store was closed')
  }

  /** Makes the folder where it is missing: nobody else does. */
  async #create(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      return await open(path, 'wx', 0o600)
    }
  }

  /** Keys may be anything; file names may not. */
  #path(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex')}.entry`)
  }

  async #read(path: string): Promise<FileEntry | undefined> {
    let bytes: Buffer
    try {
      bytes = await readFile(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw unavailable(error)
    }
    const entry = decodeEntry(bytes)
    if (!entry) throw new ServiceError('unavailable', `${path} is no entry of a file store; take it away`)
    return entry.expiresAt > 0 && entry.expiresAt <= Date.now() ? undefined : entry
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw unavailable(error)
  }
}

function unavailable(cause: unknown): ServiceError {
  return new ServiceError('unavailable', `the file store cannot be used: ${(cause as Error).message}`, {
    cause,
  })
}
