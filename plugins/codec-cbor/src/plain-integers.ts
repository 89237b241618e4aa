/**
 * Integers of 64 bits, which the library reads as bigint, as numbers where a number holds them: a peer
 * in Go writes 5,000,000,000 so. Changes `value`, which nobody else has yet.
 */
export function plainIntegers(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  if (Array.isArray(value)) {
    for (const [index, each] of value.entries()) value[index] = plainIntegers(each)
  } else if (value instanceof Map) {
    const entries = [...value]
    value.clear()
    for (const [key, each] of entries) value.set(plainIntegers(key), plainIntegers(each))
  } else if (value instanceof Set) {
    const members = [...value]
    value.clear()
    for (const each of members) value.add(plainIntegers(each))
  } else if (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype
  ) {
    const object = value as Record<string, unknown>
    for (const [name, each] of Object.entries(object)) object[name] = plainIntegers(each)
  }
  return value
}
