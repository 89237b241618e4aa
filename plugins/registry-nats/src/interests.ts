/** Which services are watched, and by how many; as long as there is any, something is done again and again. */
export class Interests {
  readonly #counts = new Map<string | undefined, number>()
  readonly #everyMs: number
  readonly #again: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number, again: () => void) {
    this.#everyMs = everyMs
    this.#again = again
  }

  /** All that must be asked for; `undefined` is every service. */
  get services(): readonly (string | undefined)[] {
    return this.#counts.has(undefined) ? [undefined] : [...this.#counts.keys()]
  }

  has(service: string): boolean {
    return this.#counts.has(undefined) || this.#counts.has(service)
  }

  /** @param service `undefined` for every one. @returns ends it; what is done again does nothing. */
  add(service: string | undefined, onEnd: () => void): () => void {
    this.#counts.set(service, (this.#counts.get(service) ?? 0) + 1)
    this.#timer ??= setInterval(this.#again, this.#everyMs).unref()
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = (this.#counts.get(service) ?? 1) - 1
      if (left > 0) this.#counts.set(service, left)
      else this.#counts.delete(service)
      onEnd()
      if (this.#counts.size === 0) this.end()
    }
  }

  end(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
