/** Bytes in which the messages of a tick are put together. */
export const writeBufferBytes = 32_768

const kept = 16

/** Buffers that connections put the messages of a tick together in, so that an idle connection holds none. */
export class WriteBuffers {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(writeBufferBytes)
  }

  /** @param buffer Nothing may use it any longer. */
  give(buffer: Buffer): void {
    if (this.#free.length < kept) this.#free.push(buffer)
  }
}
