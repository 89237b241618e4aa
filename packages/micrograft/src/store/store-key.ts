import type { ListOptions } from '@micrograft/contracts'
import { requireLimit } from '@micrograft/plugin-kit'

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
