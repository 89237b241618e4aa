import { ServiceError } from '@micrograft/contracts'

const maxKeyBytes = 512
/** More than any calendar of a server takes is as good as none. */
const maxTtlMs = 100 * 366 * 86_400_000

/** @throws `bad-request` unless `key` is text of 1 to 512 bytes in UTF-8. */
export function requireKey(key: string): void {
  if (typeof key === 'string' && key !== '' && key.length <= maxKeyBytes && !/\p{Surrogate}/u.test(key)) {
    if (Buffer.byteLength(key) <= maxKeyBytes) return
  }
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(key).slice(0, 64))} is no key; a key is a text of 1 to ${maxKeyBytes} bytes in UTF-8`,
  )
}

/** The key in UTF-8. @throws as `requireKey` */
export function keyBytes(key: string): Buffer {
  requireKey(key)
  return Buffer.from(key)
}

/** @throws `invalid-option` unless `ttlMs` is a positive number or none. */
export function requireTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || (Number.isFinite(ttlMs) && ttlMs > 0)) return
  throw new ServiceError(
    'invalid-option',
    `ttlMs is ${String(ttlMs)}; give a positive number of milliseconds, or none`,
  )
}

/** Whole milliseconds; `undefined` does not expire. @throws as `requireTtl` */
export function lifetime(ttlMs: number | undefined): number | undefined {
  requireTtl(ttlMs)
  return ttlMs === undefined || ttlMs > maxTtlMs ? undefined : Math.ceil(ttlMs)
}

/** @throws `bad-request` unless `value` is bytes, `too-large` for more than `maxBytes` of them. */
export function requireValue(key: string, value: unknown, maxBytes: number): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array))
    throw new ServiceError(
      'bad-request',
      `the value of ${key} is ${value === null ? 'null' : typeof value}; a store takes a Uint8Array`,
    )
  if (value.byteLength <= maxBytes) return
  throw new ServiceError(
    'too-large',
    `the value of ${key} has ${value.byteLength} bytes and the store takes ${maxBytes}; split it, or raise maxValueBytes`,
  )
}

/** @throws `invalid-option` unless it is a whole number from 0 up. */
export function requireLimit(limit: number): void {
  if (Number.isSafeInteger(limit) && limit >= 0) return
  throw new ServiceError('invalid-option', `limit is ${String(limit)}; give a whole number from 0 up`)
}

/** The first bytes in order that are after all that begin with `prefix`; no UTF-8 has a byte 255, so there are some. */
export function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end[end.length - 1] as number) + 1
  return end
}
