import type {
  CallOptions,
  Registry,
  RegistryWatcher,
  RegisterOptions,
  ServiceRecord,
  WatchOptions,
} from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'
import { KeptWatcher } from './kept-watcher.js'

interface Registered {
  readonly record: ServiceRecord
  readonly options: RegisterOptions | undefined
}

/**
 * A node is registered in the new registry before the old one lets go of it, and watchers go on with
 * what differs between the two.
 */
export function registryKeeper(slot: SlotView<Registry>): Keeper<Registry> {
  /** By service, version and nodes. */
  const registered = new Map<string, Registered>()
  const watchers = new Set<KeptWatcher>()
  /** Registries that know this process's nodes: one, or two while they overlap. */
  const live = new Set<Generation<Registry>>()

  /** On the one that calls go to first, whose failure is the caller's; the other follows. */
  async function onAll(work: (registry: Registry) => Promise<void>): Promise<void> {
    const current = await slot.take()
    if (live.size === 0) live.add(current)
    current.enter()
    try {
      const doing = work(current.component)
      if (current.tally) current.watch(doing, current.tally)
      await doing
      await Promise.allSettled(
        [...live].filter((each) => each !== current).map((each) => work(each.component)),
      )
    } finally {
      current.leave()
    }
  }

  const registerAll = (registry: Registry) =>
    Promise.all(
      [...registered.values()].map(({ record, options }) =>
        // The signal was for the first time; it says nothing of this one.
        registry.register(record, { ...options, signal: undefined }),
      ),
    )

  return {
    methods: {
      async register(record: ServiceRecord, options?: RegisterOptions): Promise<void> {
        await onAll((registry) => registry.register(record, options))
        registered.set(keyOf(record), { record, options })
      },
      async deregister(record: ServiceRecord, options?: CallOptions): Promise<void> {
        registered.delete(keyOf(record))
        await onAll((registry) => registry.deregister(record, options))
      },
      async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
        const current = await slot.take()
        const watcher: KeptWatcher = new KeptWatcher(
          options,
          await current.component.watch(options),
          current.component,
          () => watchers.delete(watcher),
        )
        watchers.add(watcher)
        // A swap may have gone by while the watcher was made.
        if (slot.current && slot.current !== current) {
          await watcher.prepare(slot.current.component)
          watcher.move(slot.current.component)
        }
        return watcher
      },
    },
    async prepare(next) {
      if (slot.current) live.add(slot.current)
      live.add(next)
      try {
        await registerAll(next.component)
        await Promise.all([...watchers].map((each) => each.prepare(next.component)))
      } catch (error) {
        live.delete(next)
        await Promise.all([...watchers].map((each) => each.cancel(next.component)))
        throw error
      }
    },
    switched(next) {
      for (const each of watchers) each.move(next.component)
    },
    async release(old) {
      live.delete(old)
      // It takes out what it was the last to register: the one that stays must be the last.
      const stays = slot.current
      if (stays && stays !== old) await registerAll(stays.component)
    },
  }
}

function keyOf({ name, version, nodes }: ServiceRecord): string {
  return JSON.stringify([name, version, nodes.map(({ id }) => id)])
}
