import type { ConfigValue } from '@micrograft/contracts'

export type ConfigTree = { readonly [name: string]: ConfigValue }

interface Follower {
  latest: ConfigTree | undefined
  wake: ((result: IteratorResult<ConfigTree>) => void) | undefined
  fail: ((reason: unknown) => void) | undefined
}

/** Tells each follower of a config the newest tree: one that is slow misses what lies between, and never the last. */
export class ConfigChanges {
  readonly #followers = new Set<Follower>()
  #ended = false

  get watched(): boolean {
    return this.#followers.size > 0
  }

  tell(tree: ConfigTree): void {
    for (const follower of this.#followers) {
      const { wake } = follower
      follower.wake = undefined
      if (wake) wake({ value: structuredClone(tree) as ConfigTree, done: false })
      else follower.latest = structuredClone(tree) as ConfigTree
    }
  }

  follow(
    signal: AbortSignal | undefined,
    onEnd: () => void = () => undefined,
  ): AsyncIterableIterator<ConfigTree> {
    const follower: Follower = { latest: undefined, wake: undefined, fail: undefined }
    const onAbort = () => {
      follower.fail?.(signal?.reason)
      leave()
    }
    const leave = () => {
      this.#followers.delete(follower)
      signal?.removeEventListener('abort', onAbort)
      follower.wake?.({ value: undefined, done: true })
      follower.wake = undefined
      onEnd()
    }
    if (!this.#ended && !signal?.aborted) {
      this.#followers.add(follower)
      signal?.addEventListener('abort', onAbort, { once: true })
    }
    return {
      next: () => {
        if (signal?.aborted) return Promise.reject(signal.reason as Error)
        const { latest } = follower
        follower.latest = undefined
        if (latest) return Promise.resolve({ value: latest, done: false })
        if (!this.#followers.has(follower)) return Promise.resolve({ value: undefined, done: true })
        return new Promise((wake, fail) => Object.assign(follower, { wake, fail }))
      },
      return: () => {
        leave()
        return Promise.resolve({ value: undefined, done: true })
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  end(): void {
    this.#ended = true
    for (const follower of this.#followers) follower.wake?.({ value: undefined, done: true })
    this.#followers.clear()
  }
}
