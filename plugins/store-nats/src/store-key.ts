import type { ListOptions } from '@micrograft/contracts'
import { requireLimit } from '@micrograft/plugin-kit'

/**
 * A key as a bucket takes it: its parts between `/` are the tokens of a subject, so that the server can
 * look for those that begin alike. A letter, digit, `_` and `-` stands for itself, any other byte of
 * UTF-8 is `=` and two hexadecimal digits, and a part of nothing is a lone `=`.
 */
export function encodeKey(key: string): string {
  return key
    .split('/')
    .map((part) => encodePart(part) || '=')
    .join('.')
}

/** @returns `undefined` for what `encodeKey` does not write: another client's key. */
export function decodeKey(encoded: string): string | undefined {
  const bytes: string[] = []
  for (const part of encoded.split('.')) {
    if (part !== '=' && !/^(?:[\w-]|=[0-9A-F]{2})+$/.test(part)) return undefined
    const text = part === '=' ? '' : part
    bytes.push(text.replace(/=(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
  }
  return Buffer.from(bytes.join('/'), 'latin1').toString()
}

/** What all keys that begin with `prefix` match, and perhaps others: whole parts of it, and then anything. */
export function filterOf(prefix: string): string {
  const parts = prefix.split('/').slice(0, -1)
  return [...parts.map((part) => encodePart(part) || '='), '>'].join('.')
}

function encodePart(part: string): string {
  return Buffer.from(part)
    .toString('latin1')
    .replace(/[^\w-]/g, (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/** The keys that a list asks for, first in the order of their bytes; no more of them are held than twice as many. */
export class KeyPage {
  readonly #options: ListOptions
  readonly #limit: number
  #keys: Uint8Array[] = []
  readonly #after: Uint8Array | undefined

  /** @throws `invalid-option` */
  constructor(options: ListOptions) {
    const { limit = 1000, after } = options
    requireLimit(limit)
    this.#options = options
    this.#limit = limit
    this.#after = after === undefined ? undefined : Buffer.from(after)
  }

  add(key: string): void {
    const { prefix = '', suffix = '' } = this.#options
    if (this.#limit === 0 || !key.startsWith(prefix) || !key.endsWith(suffix)) return
    const bytes = Buffer.from(key)
    if (this.#after && Buffer.compare(bytes, this.#after) <= 0) return
    this.#keys.push(bytes)
    if (this.#keys.length >= this.#limit * 2 + 1024) this.#cut()
  }

  keys(): readonly string[] {
    this.#cut()
    return this.#keys.map((bytes) => Buffer.from(bytes).toString())
  }

  #cut(): void {
    this.#keys = this.#keys
      .sort((a, b) => Buffer.compare(a, b))
      // A key that was set meanwhile may have come twice.
      .filter((key, at, all) => at === 0 || Buffer.compare(key, all[at - 1] as Uint8Array) !== 0)
      .slice(0, this.#limit)
  }
}
