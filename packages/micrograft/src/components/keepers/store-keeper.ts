import { ServiceError, type SetOptions, type Store } from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

const pageSize = 500

/** The store that entries are being copied to, and the keys that were written since. */
interface Copying {
  readonly store: Store
  readonly written: Set<string>
  readonly busy: Map<string, Promise<void>>
  failed: boolean
}

/** Calls end on the store where they began. Where a copy is asked for, what is written meanwhile goes to both. */
export function storeKeeper(slot: SlotView<Store>): Keeper<Store> {
  let target: Copying | undefined
  /** Writes under way that began while nothing was copied. */
  const unaware = new Set<Promise<unknown>>()

  /** Does `work` on the slot's store, then on the one that is being copied to. */
  async function onBoth<R>(key: string, work: (store: Store) => Promise<R>): Promise<R> {
    const current = await slot.take()
    const begun = target
    const writing = run(current, work)
    if (!begun) {
      unaware.add(writing)
      const ended = () => void unaware.delete(writing)
      writing.then(ended, ended)
    }
    const result = await writing
    // What began before the switch and ends after it is still to be written to the new store.
    const copying = target ?? begun
    if (copying && !copying.failed && copying.store !== current.component) {
      copying.written.add(key)
      await copying.busy.get(key)
      await work(copying.store)
    }
    return result
  }

  async function copyAll(from: Store, to: Store, ttlMs: number | undefined): Promise<void> {
    const copying: Copying = { store: to, written: new Set(), busy: new Map(), failed: false }
    target = copying
    // These could end when the copy has, and would then be in the old store alone.
    await Promise.allSettled(unaware)
    let after: string | undefined
    for (;;) {
      const keys = await from.list({ after, limit: pageSize })
      for (const key of keys) {
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
      try {
        await copyAll(old.component, next.component, copy === true ? undefined : copy.ttlMs)
      } catch (error) {
        if (target) target.failed = true
        target = undefined
        throw error
      }
    },
    switched: () => (target = undefined),
  }
}

function run<R>(generation: Generation<Store>, work: (store: Store) => Promise<R>): Promise<R> {
  generation.enter()
  const doing = work(generation.component)
  if (generation.tally) generation.watch(doing, generation.tally)
  return doing.finally(generation.leave)
}
