import { ServiceError } from '@micrograft/contracts'

/** Of a statement that is executed: at most so much before its values, and so much for each one's type and length. */
const headBytes = 32
const bytesBesideValue = 16

/**
 * Why a statement with these values cannot be sent: the server would read no further than its
 * `max_allowed_packet` and hang up, and whether its reason is heard then is a matter of luck.
 */
export function aboveLimit(
  where: string,
  values: readonly unknown[],
  maxAllowedPacket: number,
): ServiceError | undefined {
  let bytes = headBytes
  let largest = 0
  for (const value of values) {
    const length = lengthOf(value)
    bytes += bytesBesideValue + length
    largest = Math.max(largest, length)
  }
  // A statement of just that size is refused too.
  if (bytes < maxAllowedPacket) return undefined
  return new ServiceError(
    'too-large',
    `cannot ask MySQL at ${where}: a value of ${largest} bytes, with up to ${bytes - largest} beside it, is not below its max_allowed_packet of ${maxAllowedPacket}; split the value, or raise max_allowed_packet`,
  )
}

function lengthOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength
  return typeof value === 'string' ? Buffer.byteLength(value) : 0
}
