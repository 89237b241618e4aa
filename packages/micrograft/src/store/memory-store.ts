import {
  requireNumber,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ListOptions,
  type SetOptions,
  type Store,
  type StoreCapabilities,
} from '@micrograft/contracts'
import { requireKey, requireTtl, requireValue } from '@micrograft/plugin-kit'
import { selectKeys } from './store-key.js'

export interface MemoryStoreOptions {
  /** Largest value, in bytes. @default 1_048_576 (1 MiB) */
  readonly maxValueBytes?: number | undefined
  /** Most entries; a further one is refused with `overloaded`. @default 1_000_000 */
  readonly maxEntries?: number | undefined
  /** Not used, as the two below: here so that every store takes the flags' options. A memory store is its service's own. */
  readonly addresses?: readonly string[] | undefined
  readonly database?: string | undefined
  readonly table?: string | undefined
}

interface Entry {
  readonly value: Uint8Array
  readonly expiresAt: number
}

/** Keeps entries in this process, for as long as it lives. */
export function memoryStore(options?: MemoryStoreOptions): Store {
  const { maxValueBytes, maxEntries } = resolveOptions(
    'the options of the memory store',
    {
      maxValueBytes: 1_048_576,
      maxEntries: 1_000_000,
      addresses: undefined,
      database: undefined,
      table: undefined,
    },
    options,
  )
  requireNumber('maxValueBytes of the memory store', maxValueBytes, { min: 0 })
  requireNumber('maxEntries of the memory store', maxEntries, { min: 0 })
  return new MemoryStore(maxValueBytes, maxEntries)
}

class MemoryStore implements Store {
  readonly name = 'memory'
  readonly capabilities: StoreCapabilities = { durable: false, shared: false }
  readonly #maxValueBytes: number
  readonly #maxEntries: number
  readonly #entries = new Map<string, Entry>()
  #sweepAt = 1024
  #closed = false

  constructor(maxValueBytes: number, maxEntries: number) {
    this.#maxValueBytes = maxValueBytes
    this.#maxEntries = maxEntries
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    requireKey(key)
    return this.#live(key)?.value.slice()
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    requireKey(key)
    requireTtl(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    this.#makeRoom(key)
    this.#entries.set(key, {
      value: value.slice(),
      expiresAt: ttlMs === undefined ? Infinity : Date.now() + ttlMs,
    })
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    requireKey(key)
    const there = this.#live(key) !== undefined
    this.#entries.delete(key)
    return there
  }

  async list(options: ListOptions = {}): Promise<readonly string[]> {
    this.#ready(options.signal)
    this.#sweep()
    return selectKeys(this.#entries.keys(), options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#entries.clear()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the memory store was closed')
  }

  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    return entry && entry.expiresAt > Date.now() ? entry : undefined
  }

  /** Entries that nobody asks for again go when the store has doubled since the last look. */
  #makeRoom(key: string): void {
    if (this.#entries.size >= this.#sweepAt) {
      this.#sweep()
      this.#sweepAt = Math.max(1024, this.#entries.size * 2)
    }
    if (this.#entries.size < this.#maxEntries || this.#entries.has(key)) return
    this.#sweep()
    if (this.#entries.size >= this.#maxEntries) {
      throw new ServiceError(
        'overloaded',
        `the memory store has its ${this.#maxEntries} entries; delete some, or raise maxEntries`,
      )
    }
  }

  #sweep(): void {
    const now = Date.now()
    for (const [key, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#entries.delete(key)
  }
}
