import type { CallOptions, Selection, Selector } from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

interface Kept {
  readonly service: string
  readonly made: Map<Generation<Selector>, Selection>
  selection: Selection
}

/** A selection stays and chooses by the new selector from the switch on, which knows the nodes by then. */
export function selectorKeeper(slot: SlotView<Selector>): Keeper<Selector> {
  const kept = new Set<Kept>()

  async function move(entry: Kept, next: Generation<Selector>, options?: CallOptions): Promise<void> {
    const selection = await next.component.select(entry.service, options)
    entry.made.set(next, selection)
    if (slot.current === next) entry.selection = selection
  }

  return {
    methods: {
      async select(service: string, options?: CallOptions): Promise<Selection> {
        const current = await slot.take()
        // It is not to be disposed before it has answered.
        current.enter()
        try {
          const selection = await current.component.select(service, options)
          const entry: Kept = { service, made: new Map([[current, selection]]), selection }
          kept.add(entry)
          if (slot.current && slot.current !== current) await move(entry, slot.current, options)
          return lasting(entry, () => kept.delete(entry))
        } finally {
          current.leave()
        }
      },
    },
    async prepare(next) {
      const made = await Promise.allSettled(
        [...kept]
          .filter((entry) => !entry.made.has(next))
          .map(async (entry) => entry.made.set(next, await next.component.select(entry.service))),
      )
      const failed = made.find((each) => each.status === 'rejected')
      if (!failed) return
      for (const { made: by } of kept) by.delete(next)
      throw failed.reason
    },
    switched(next) {
      for (const entry of kept) entry.selection = entry.made.get(next) ?? entry.selection
    },
    async settled(next) {
      // These were made when the others had been.
      await Promise.all([...kept].filter(({ made }) => !made.has(next)).map((entry) => move(entry, next)))
    },
    async release(old) {
      for (const { made } of kept) {
        const selection = made.get(old)
        made.delete(old)
        await selection?.[Symbol.asyncDispose]()
      }
    },
  }
}

function lasting(entry: Kept, onEnd: () => void): Selection {
  return {
    next: (options) => entry.selection.next(options),
    mark: (node, outcome) => entry.selection.mark(node, outcome),
    get nodes() {
      return entry.selection.nodes
    },
    get endpoints() {
      return entry.selection.endpoints
    },
    async [Symbol.asyncDispose]() {
      onEnd()
      for (const selection of entry.made.values()) await selection[Symbol.asyncDispose]()
    },
  }
}
