/**
 * Turns values into bytes and back. Both directions are synchronous, keep no state between calls
 * and leave their argument as it was; bytes that are given back are the caller's.
 *
 * @throws both: `bad-request` for what the codec cannot write, or bytes that it did not write,
 *   saying where they go wrong. Nesting and size that a peer controls are limited.
 */
export interface Codec {
  readonly name: string
  /** The content types that it is chosen by, the one it writes first, e.g. `application/json`. */
  readonly contentTypes: readonly string[]
  /** Whether the bytes are text, which a person may be shown. */
  readonly text: boolean
  encode(value: unknown): Uint8Array
  decode(bytes: Uint8Array): unknown
}
