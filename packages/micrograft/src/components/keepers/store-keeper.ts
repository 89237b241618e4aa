import { ServiceError, type SetOptions, type Store } from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

const pageSize = 500

/** The store that entries are being copied to, and the keys that were written since. */
interface Copying {
  readonly from: Generation<Store>
  readonly to: Generation<Store>
  readonly written: Set<string>
  readonly busy: Map<string, Promise<void>>
  /** What it refused: it does not hold what the other holds. */
  error: Error | undefined
}

/**
 * Calls end on the store where they began. Where a copy is asked for, what is written goes to both until the
 * switch. Till then the old store is the one that counts: what the new one refuses fails the swap alone.
 */
export function storeKeeper(slot: SlotView<Store>): Keeper<Store> {
  let target: Copying | undefined
  /** Writes under way that began while nothing was copied. */
  const unaware = new Set<Promise<unknown>>()

  /** Does `work` on the slot's store, and on the one that is being copied to. */
  async function onBoth<R>(key: string, work: (store: Store) => Promise<R>): Promise<R> {
    const begun = target
    // While the two share calls, whatever is written is to be in both.
    const current = begun?.from ?? (await slot.take())
    const writing = run(current, work)
    if (!begun) {
      unaware.add(writing)
      const ended = () => void unaware.delete(writing)
      writing.then(ended, ended)
    }
    const result = await writing
    const copying = target ?? begun
    if (!copying || copying.error || copying.to === current) return result
    copying.written.add(key)
    await copying.busy.get(key)
    // What began before the switch and ends after it is still to be written to the new store, which counts then.
    if (slot.current === copying.to) return run(copying.to, work)
    await run(copying.to, work).catch((error: Error) => (copying.error ??= error))
    return result
  }

  async function copyAll(copying: Copying, ttlMs: number | undefined): Promise<void> {
    const [from, to] = [copying.from.component, copying.to.component]
    // These could end when the copy has, and would then be in the old store alone.
    await Promise.allSettled(unaware)
    let after: string | undefined
    for (;;) {
      const keys = await from.list({ after, limit: pageSize })
      for (const key of keys) {
        if (copying.error) throw copying.error
        const value = await from.get(key)
        if (value === undefined || copying.written.has(key)) continue
        const writing = to.set(key, value, { ttlMs })
        copying.busy.set(
          key,
          writing.catch(() => undefined),
        )
        await writing
        copying.busy.delete(key)
        const read = await to.get(key)
        if (!copying.written.has(key) && (read === undefined || Buffer.compare(read, value) !== 0))
          throw new ServiceError(
            'conflict',
            `the entry ${key} is not in ${to.name} as it was copied from ${from.name}`,
          )
      }
      after = keys.at(-1)
      if (after === undefined || keys.length < pageSize) return
    }
  }

  return {
    methods: {
      set: (key: string, value: Uint8Array, options?: SetOptions) =>
        onBoth(key, (store) => store.set(key, value, options)),
      delete: (key: string, options?: SetOptions) => onBoth(key, (store) => store.delete(key, options)),
    },
    async prepare(next, { copy }) {
      const old = slot.current
      if (!copy || !old) return
      const copying: Copying = { from: old, to: next, written: new Set(), busy: new Map(), error: undefined }
      target = copying
      try {
        await copyAll(copying, copy === true ? undefined : copy.ttlMs)
      } catch (error) {
        copying.error ??= error as Error
        target = undefined
        throw error
      }
    },
    switched() {
      if (target?.error) throw target.error
      target = undefined
    },
    async release(gone) {
      if (target?.to === gone) target = undefined
    },
  }
}

async function run<R>(generation: Generation<Store>, work: (store: Store) => Promise<R>): Promise<R> {
  generation.enter()
  try {
    const doing = work(generation.component)
    if (generation.tally) generation.watch(doing, generation.tally)
    return await doing
  } finally {
    generation.leave()
  }
}
