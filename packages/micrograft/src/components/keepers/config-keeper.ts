import type { CallOptions, Config, ConfigValue } from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

type Tree = { readonly [name: string]: ConfigValue }
type WatchOptions = CallOptions & { readonly onError?: ((error: Error) => void) | undefined }

/** Who watches the settings gets the new source's tree after the switch, and its changes from then on. */
export function configKeeper(slot: SlotView<Config>): Keeper<Config> {
  const watching = new Set<KeptSettings>()
  return {
    methods: {
      watch(options?: WatchOptions): AsyncIterableIterator<Tree> {
        const kept: KeptSettings = new KeptSettings(slot, options, () => watching.delete(kept))
        watching.add(kept)
        return kept
      },
    },
    switched(next) {
      for (const each of watching) each.move(next)
    },
  }
}

class KeptSettings implements AsyncIterableIterator<Tree> {
  readonly #slot: SlotView<Config>
  readonly #options: WatchOptions | undefined
  readonly #onEnd: () => void
  #source: AsyncIterableIterator<Tree> | undefined
  #moved: Generation<Config> | undefined
  #ended = false

  constructor(slot: SlotView<Config>, options: WatchOptions | undefined, onEnd: () => void) {
    this.#slot = slot
    this.#options = options
    this.#onEnd = onEnd
    // Changes count from here on, not from the first time that somebody waits for one.
    this.#source = slot.current?.component.watch(options)
  }

  move(next: Generation<Config>): void {
    const old = this.#source
    this.#source = next.component.watch(this.#options)
    this.#moved = next
    void Promise.resolve(old?.return?.()).catch(() => undefined)
  }

  async next(): Promise<IteratorResult<Tree>> {
    for (;;) {
      if (this.#ended) return { value: undefined, done: true }
      if (this.#moved) {
        const { component } = this.#moved
        this.#moved = undefined
        return { value: await component.read(this.#options), done: false }
      }
      if (!this.#source) {
        const { component } = await this.#slot.take()
        // It may have ended meanwhile, or have its source from a swap or another call.
        if (!this.#ended) this.#source ??= component.watch(this.#options)
        continue
      }
      const source = this.#source
      try {
        const result = await source.next()
        if (!result.done || source === this.#source) return result
      } catch (error) {
        if (source === this.#source) throw error
      }
    }
  }

  async return(): Promise<IteratorResult<Tree>> {
    this.#ended = true
    this.#onEnd()
    await this.#source?.return?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
