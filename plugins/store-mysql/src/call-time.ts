/** The library's code of its own timeouts, and ours. */
export const timedOut = 'PROTOCOL_SEQUENCE_TIMEOUT'

type Work<T> = (resolve: (value: T) => void, reject: (error: unknown) => void) => void

/**
 * The time of one call, whatever it waits for: one timer for all its steps. The library's own timeout
 * leaves preparing out, and it calls back to nobody whose connection was destroyed.
 */
export class CallTime {
  readonly #end: number
  readonly #timer: NodeJS.Timeout
  #over: Error | undefined
  #reject: ((error: Error) => void) | undefined

  constructor(timeoutMs: number) {
    this.#end = performance.now() + timeoutMs
    this.#timer = setTimeout(() => this.end(late()), timeoutMs)
  }

  get leftMs(): number {
    return this.#end - performance.now()
  }

  /**
   * What `work` calls back with, or why the time was over before; one step at a time.
   * @param parts Into how many the time that is left is divided, of which the step has one. @default 1
   */
  within<T>(work: Work<T>, parts = 1): Promise<T> {
    let part: NodeJS.Timeout | undefined
    const step = new Promise<T>((resolve, reject) => {
      if (this.#over) return reject(this.#over)
      this.#reject = reject
      if (parts > 1) part = setTimeout(() => reject(late()), this.leftMs / parts)
      work(resolve, reject)
    })
    return part ? step.finally(() => clearTimeout(part)) : step
  }

  /** Ends the step that is waited for, and each that would come. */
  end(error: Error): void {
    this.#over ??= error
    this.#reject?.(this.#over)
  }

  /** The call has ended. */
  clear(): void {
    clearTimeout(this.#timer)
  }
}

function late(): Error {
  return Object.assign(new Error('no answer in time'), { code: timedOut })
}
