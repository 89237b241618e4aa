import type { CallOptions } from './values.js'

export interface SetOptions extends CallOptions {
  /** Lifetime of the entry, in milliseconds. @default it does not expire */
  readonly ttlMs?: number | undefined
}

export interface ListOptions extends CallOptions {
  /** Only keys that begin so. @default all */
  readonly prefix?: string | undefined
  /** Only keys that end so. @default all */
  readonly suffix?: string | undefined
  /** Most keys to give, the first in order. @default 1000 */
  readonly limit?: number | undefined
  /** Only keys after this one in order: the last of the page before. @default from the first */
  readonly after?: string | undefined
}

export interface StoreCapabilities {
  /** Entries outlive the process. */
  readonly durable: boolean
  /** Other processes with the same options see the same entries. */
  readonly shared: boolean
}

/**
 * Key-value storage shared by the instances of a service.
 *
 * Keys are non-empty text, well-formed and of at most 512 bytes in UTF-8. Values are bytes that the
 * store never interprets. Every method rejects with `bad-request` for a key that is none, with
 * `unavailable` when the backend is out of reach and with `closed` once the store is disposed.
 */
export interface Store extends AsyncDisposable {
  readonly name: string
  readonly capabilities: StoreCapabilities
  /** The value of `key`, or `undefined` when it is absent or expired. The caller owns the bytes. */
  get(key: string, options?: CallOptions): Promise<Uint8Array | undefined>
  /**
   * Writes `value`; a later `get` by any client of the store sees it once this resolves, whole or not at all.
   * @throws `too-large` when the backend refuses the size.
   */
  set(key: string, value: Uint8Array, options?: SetOptions): Promise<void>
  /** Removes `key`; whether it was there. */
  delete(key: string, options?: CallOptions): Promise<boolean>
  /** Keys in the order of their UTF-8 bytes, without those that have expired. */
  list(options?: ListOptions): Promise<readonly string[]>
}
