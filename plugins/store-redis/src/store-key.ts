import { ServiceError } from '@micrograft/contracts'

const maxKeyBytes = 512

/** @throws `bad-request` unless `key` is a text of 1 to 512 bytes in UTF-8. */
export function requireKey(key: string): void {
  if (typeof key === 'string' && key !== '' && key.length <= maxKeyBytes && !/\p{Surrogate}/u.test(key)) {
    if (Buffer.byteLength(key) <= maxKeyBytes) return
  }
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(key).slice(0, 64))} is no key; a key is a text of 1 to ${maxKeyBytes} bytes in UTF-8`,
  )
}

/** @throws `invalid-option` unless `ttlMs` is a positive number. */
export function requireTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || (Number.isFinite(ttlMs) && ttlMs > 0)) return
  throw new ServiceError(
    'invalid-option',
    `ttlMs is ${String(ttlMs)}; give a positive number of milliseconds, or none`,
  )
}

/** @throws `invalid-option` unless `limit` is a whole number from 0 up. */
export function requireLimit(limit: number): void {
  if (Number.isSafeInteger(limit) && limit >= 0) return
  throw new ServiceError('invalid-option', `limit is ${String(limit)}; give a whole number from 0 up`)
}

/** The first keys in the order of their bytes, however many are added; it never holds many more than it gives. */
export class FirstKeys {
  readonly #limit: number
  readonly #after: Buffer | undefined
  #keys = new Map<string, Buffer>()

  constructor(limit: number, after: string | undefined) {
    this.#limit = limit
    this.#after = after === undefined ? undefined : Buffer.from(after)
  }

  /** Once or more often: a scan may give a key twice. */
  add(key: string): void {
    const bytes = Buffer.from(key)
    if (this.#after && Buffer.compare(bytes, this.#after) <= 0) return
    this.#keys.set(key, bytes)
    if (this.#keys.size >= this.#limit * 2 + 1000) this.#keys = new Map(this.#first())
  }

  sorted(): readonly string[] {
    return this.#first().map(([key]) => key)
  }

  #first(): [string, Buffer][] {
    return [...this.#keys].sort(([, a], [, b]) => Buffer.compare(a, b)).slice(0, this.#limit)
  }
}
