import type { Inbox } from './inbox.js'

/** Who listens to what in one process. */
export interface MemorySubscribers {
  /** @returns takes the inbox out again. */
  add(topic: string, queue: string | undefined, inbox: Inbox): () => void
  /** The inboxes that get the next message: every one without a queue, and the next of each queue. */
  receivers(topic: string): readonly Inbox[]
  /** Those that may get a message instead of `inbox`: the others of its queue. */
  others(topic: string, inbox: Inbox): readonly Inbox[]
}

interface Group {
  readonly inboxes: Inbox[]
  next: number
}

interface Topic {
  readonly single: Set<Inbox>
  readonly groups: Map<string, Group>
}

export function memorySubscribers(): MemorySubscribers {
  const topics = new Map<string, Topic>()
  return {
    add(name, queue, inbox) {
      const topic = topics.get(name) ?? { single: new Set(), groups: new Map() }
      topics.set(name, topic)
      if (queue === undefined) topic.single.add(inbox)
      else {
        const group = topic.groups.get(queue) ?? { inboxes: [], next: 0 }
        topic.groups.set(queue, group)
        group.inboxes.push(inbox)
      }
      return () => {
        topic.single.delete(inbox)
        const group = topic.groups.get(queue ?? '')
        const at = group?.inboxes.indexOf(inbox) ?? -1
        if (at >= 0) group?.inboxes.splice(at, 1)
        if (group?.inboxes.length === 0) topic.groups.delete(queue ?? '')
        if (topic.single.size === 0 && topic.groups.size === 0 && topics.get(name) === topic)
          topics.delete(name)
      }
    },
    receivers(name) {
      const topic = topics.get(name)
      if (!topic) return []
      const chosen = [...topic.groups.values()].map(
        (group) => group.inboxes[group.next++ % group.inboxes.length] as Inbox,
      )
      return [...topic.single, ...chosen]
    },
    others(name, inbox) {
      for (const { inboxes } of topics.get(name)?.groups.values() ?? [])
        if (inboxes.includes(inbox)) return inboxes.filter((each) => each !== inbox)
      return []
    },
  }
}
