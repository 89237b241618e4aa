import { randomUUID } from 'node:crypto'
import type { Broker, Delivery, DeliveryHandler, SubscribeOptions, Subscription } from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'
import { OnceEach } from './once-each.js'

interface Kept {
  readonly topic: string
  readonly handler: DeliveryHandler
  readonly options: SubscribeOptions
  /** By the broker where it was made. */
  readonly made: Map<Generation<Broker>, Promise<Subscription>>
  /** Sees to it that a message that comes by two brokers is handled once; there where each subscription gets every message. */
  readonly once: OnceEach | undefined
  ended: boolean
}

/** How long nothing must have come from a broker that delivers later until it is left, and how long that is waited for at most, in milliseconds. */
const quietMs = 100
const mostMs = 1000

/**
 * Subscriptions are the host's. They are made on the new broker, in the same queue group, before the
 * old one drains, so that nothing published in between is missed; while there are two, a message of
 * which each brings a copy is handled once, by its id.
 */
export function brokerKeeper(slot: SlotView<Broker>): Keeper<Broker> {
  const kept = new Set<Kept>()
  /** Brokers that subscriptions are on: one, or two while they overlap. */
  const live = new Set<Generation<Broker>>()
  /** When a message last came from a broker. */
  const heardAt = new WeakMap<Generation<Broker>, number>()

  /** Makes `subscription` on every broker that is live, also on one that became so meanwhile. */
  async function cover(subscription: Kept): Promise<void> {
    for (;;) {
      const missing = [...live].find((generation) => !subscription.made.has(generation))
      if (!missing || subscription.ended) return
      const { topic, handler, options, once } = subscription
      const take = (delivery: Delivery) => {
        if (live.size > 1) heardAt.set(missing, performance.now())
        return once ? once.handle(delivery, handler) : handler(delivery)
      }
      const making = missing.component.subscribe(topic, take, options)
      subscription.made.set(missing, making)
      try {
        const made = await making
        if (subscription.ended || !live.has(missing)) {
          subscription.made.delete(missing)
          await made[Symbol.asyncDispose]()
        }
      } catch (error) {
        subscription.made.delete(missing)
        throw error
      }
    }
  }

  async function leave(generation: Generation<Broker>): Promise<void> {
    live.delete(generation)
    await Promise.all(
      [...kept].map(async ({ made, once }) => {
        const making = made.get(generation)
        made.delete(generation)
        await (await making?.catch(() => undefined))?.[Symbol.asyncDispose]()
        if (live.size < 2) once?.rest()
      }),
    )
  }

  /**
   * What such a broker has taken it may still have to deliver. One whose engine is that of the other too goes
   * on to get new messages, so this has an end.
   */
  async function emptied(generation: Generation<Broker>, deadlineMs: number): Promise<void> {
    if (kept.size === 0 || !generation.component.capabilities.deliversLater) return
    const end = performance.now() + Math.min(mostMs, deadlineMs)
    await generation.idle(end - performance.now())
    let quietSince = performance.now()
    for (;;) {
      const now = performance.now()
      quietSince = Math.max(quietSince, heardAt.get(generation) ?? 0)
      const until = Math.min(quietSince + quietMs, end)
      if (now >= until) return
      await new Promise((resolve) => setTimeout(resolve, until - now))
    }
  }

  async function end(subscription: Kept): Promise<void> {
    subscription.ended = true
    kept.delete(subscription)
    const made = await Promise.allSettled(subscription.made.values())
    for (const each of made) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]()
    subscription.once?.[Symbol.dispose]()
  }

  return {
    methods: {
      async subscribe(
        topic: string,
        handler: DeliveryHandler,
        options?: SubscribeOptions,
      ): Promise<Subscription> {
        const current = await slot.take()
        if (live.size === 0) live.add(current)
        const once = options?.queue === undefined ? new OnceEach() : undefined
        if (live.size > 1) once?.begin()
        const named = { ...options, identity: options?.identity ?? randomUUID() }
        const subscription: Kept = { topic, handler, options: named, made: new Map(), once, ended: false }
        kept.add(subscription)
        try {
          await cover(subscription)
        } catch (error) {
          await end(subscription)
          throw error
        }
        return { topic, [Symbol.asyncDispose]: () => end(subscription) }
      },
    },
    async prepare(next) {
      if (slot.current) live.add(slot.current)
      live.add(next)
      for (const { once } of kept) once?.begin()
      try {
        await Promise.all([...kept].map(cover))
      } catch (error) {
        await leave(next)
        throw error
      }
    },
    async release(old, deadlineMs) {
      if (live.size > 1) await emptied(old, deadlineMs)
      await leave(old)
    },
  }
}
