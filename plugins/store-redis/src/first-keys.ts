/** The first keys in the order of their bytes, however many are added; it never holds many more than it gives. */
export class FirstKeys {
  readonly #limit: number
  readonly #after: Buffer | undefined
  #keys = new Map<string, Buffer>()

  constructor(limit: number, after: string | undefined) {
    this.#limit = limit
    this.#after = after === undefined ? undefined : Buffer.from(after)
  }

  /** Once or more often: a scan may give a key twice. */
  add(key: string): void {
    const bytes = Buffer.from(key)
    if (this.#after && Buffer.compare(bytes, this.#after) <= 0) return
    this.#keys.set(key, bytes)
    if (this.#keys.size >= this.#limit * 2 + 1000) this.#keys = new Map(this.#first())
  }

  sorted(): readonly string[] {
    return this.#first().map(([key]) => key)
  }

  #first(): [string, Buffer][] {
    return [...this.#keys].sort(([, a], [, b]) => Buffer.compare(a, b)).slice(0, this.#limit)
  }
}
