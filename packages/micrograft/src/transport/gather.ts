const leastBytes = 1024
const noBytes: Buffer = Buffer.alloc(0)

/** Bytes that come in parts, in a buffer that grows with what has come and never with what was announced. */
export class Gather {
  #bytes = noBytes
  length = 0

  /** Everything so far; good until the next `append`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** @param most How much there can be in the end: no more is set aside. */
  append(from: Buffer, start: number, end: number, most: number): void {
    const length = this.length + end - start
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, Math.min(most, Math.max(leastBytes, length * 2))))
      this.#bytes.copy(larger, 0, 0, this.length)
      this.#bytes = larger
    }
    from.copy(this.#bytes, this.length, start, end)
    this.length = length
  }

  /** Everything, which is the caller's from now on. */
  take(): Buffer {
    const { bytes } = this
    this.clear()
    return bytes
  }

  clear(): void {
    this.#bytes = noBytes
    this.length = 0
  }
}
