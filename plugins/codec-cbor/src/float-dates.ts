/**
 * A copy of the bytes with seconds of 64 bits as floating-point numbers: the library makes no date of a
 * bigint, and a peer in Go writes the year 9999 so.
 *
 * @param at Where they are.
 */
export function floatDates(bytes: Uint8Array, at: readonly number[]): Uint8Array {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  for (const each of at) {
    const seconds = Number(view.getBigUint64(each + 1))
    view.setFloat64(each + 1, copy[each] === 0x1b ? seconds : -1 - seconds)
    copy[each] = 0xfb
  }
  return copy
}
