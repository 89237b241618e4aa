/** How long a connection that is to end waits for a request that is under way to it. */
const lastRequestMs = 250

/** The wait for a last request that may be on its way, so that none is lost when a connection ends. */
export class LastRequest {
  readonly #idleSince: () => number
  readonly #waited: () => void
  #timer: NodeJS.Timeout | undefined
  #read: NodeJS.Immediate | undefined

  /**
   * @param idleSince Changes with each request; `Infinity` while one is under way.
   * @param waited Called when none came, or one is still under way.
   */
  constructor(idleSince: () => number, waited: () => void) {
    this.#idleSince = idleSince
    this.#waited = waited
  }

  get awaited(): boolean {
    return this.#timer !== undefined
  }

  /** Waits a while, and again after each request that came and was answered meanwhile. */
  await(): void {
    clearTimeout(this.#timer)
    const before = this.#idleSince()
    this.#timer = setTimeout(() => {
      // After a stall, what came meanwhile is read first.
      this.#read = setImmediate(() => {
        const since = this.#idleSince()
        if (since !== Infinity && since !== before) this.await()
        else this.#waited()
      })
    }, lastRequestMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#read)
    this.#timer = undefined
  }
}
