import type {
  CallOptions,
  Node,
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
  /** By service and nodes: a node is of one version, and registering it under another moves it. */
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
    Promise.all([...registered.keys()].map((key) => registerLast(registry, key)))

  /** What is registered meanwhile counts: it may have come to `registry` before this. */
  async function registerLast(registry: Registry, key: string): Promise<void> {
    let done: Registered | undefined
    for (let last = registered.get(key); last && last !== done; last = registered.get(key)) {
      // The signal was for the first time; it says nothing of this one.
      await registry.register(last.record, { ...last.options, signal: undefined })
      done = last
    }
    if (done && !registered.has(key)) await registry.deregister(done.record)
  }

  async function follow(watcher: KeptWatcher, next: Registry): Promise<void> {
    await watcher.prepare(next)
    watcher.move(next)
  }

  return {
    methods: {
      async register(record: ServiceRecord, options?: RegisterOptions): Promise<void> {
        const key = keyOf(record)
        const before = registered.get(key)
        const now: Registered = { record, options }
        registered.set(key, now)
        try {
          await onAll((registry) => registry.register(record, options))
        } catch (error) {
          if (registered.get(key) === now) {
            if (before) registered.set(key, before)
            else registered.delete(key)
          }
          throw error
        }
      },
      async deregister(record: ServiceRecord, options?: CallOptions): Promise<void> {
        const key = keyOf(record)
        if (registered.get(key)?.record.version === record?.version) registered.delete(key)
        await onAll((registry) => registry.deregister(record, options))
      },
      async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
        const current = await slot.take()
        // It is not to be disposed before it watches.
        current.enter()
        try {
          const watcher: KeptWatcher = new KeptWatcher(
            options,
            await current.component.watch(options),
            current.component,
            () => watchers.delete(watcher),
          )
          watchers.add(watcher)
          // A swap may have gone by while the watcher was made.
          if (slot.current && slot.current !== current) await follow(watcher, slot.current.component)
          return watcher
        } finally {
          current.leave()
        }
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
    async settled({ component }) {
      // These were made when the others had been.
      const late = [...watchers].filter(({ registry }) => registry !== component)
      await Promise.all(late.map((each) => follow(each, component)))
    },
    async release(old) {
      live.delete(old)
      // It takes out what it was the last to register: the one that stays must be the last.
      const stays = slot.current
      if (stays && stays !== old) await registerAll(stays.component)
    },
  }
}

/** Of whatever it is given: the registry says what is wrong with it. */
function keyOf(record: ServiceRecord | undefined): string {
  const { name, nodes } = (record ?? {}) as Partial<ServiceRecord>
  return JSON.stringify([name, Array.isArray(nodes) ? nodes.map((node?: Partial<Node>) => node?.id) : nodes])
}
