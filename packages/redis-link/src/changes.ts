/** Wakes those who wait for something to change. */
export class Changes {
  readonly #waiting = new Set<() => void>()

  tell(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Whether something changed, or the signal was aborted, before the time was over. */
  next(timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (changed: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve(changed)
      }
      const wake = () => end(true)
      const timer = setTimeout(() => end(false), Math.max(0, timeoutMs))
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
