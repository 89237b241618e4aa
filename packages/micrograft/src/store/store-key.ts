import { ServiceError, type ListOptions } from '@micrograft/contracts'

const maxKeyBytes = 512

/** @throws `bad-request` unless `key` is non-empty and at most 512 bytes of UTF-8. */
export function requireKey(key: string): void {
  if (
    typeof key === 'string' &&
    key !== '' &&
    key.length <= maxKeyBytes &&
    Buffer.byteLength(key) <= maxKeyBytes
  )
    return
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

/** The keys that `options` asks for, in the order of their bytes. */
export function selectKeys(
  keys: Iterable<string>,
  { prefix = '', suffix = '', limit = 1000, after }: ListOptions,
): readonly string[] {
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw new ServiceError('invalid-option', `limit is ${String(limit)}; give a whole number from 0 up`)
  const found: string[] = []
  for (const key of keys) {
    if (
      key.startsWith(prefix) &&
      key.endsWith(suffix) &&
      (after === undefined || compareKeys(key, after) > 0)
    )
      found.push(key)
  }
  return found.sort(compareKeys).slice(0, limit)
}

/** Order of the keys' UTF-8 bytes, which is not that of JavaScript's strings above U+FFFF. */
function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
