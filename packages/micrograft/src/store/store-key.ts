import { ServiceError, type ListOptions } from '@micrograft/contracts'
import { requireLimit } from '@micrograft/plugin-kit'

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

/** The keys that `options` asks for, in the order of their bytes. */
export function selectKeys(
  keys: Iterable<string>,
  { prefix = '', suffix = '', limit = 1000, after }: ListOptions,
): readonly string[] {
  requireLimit(limit)
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
