import type { DeliveryHandler, SubscribeOptions } from '@micrograft/contracts'
import type { LinkOptions, RedisLink } from '@micrograft/redis-link'

/** The limits that subscriptions hold to; `RedisBrokerOptions` says what each means. */
export interface SubscriptionLimits {
  readonly prefetch: number
  readonly claimAfterMs: number
  readonly redeliveryDelayMs: number
  readonly redeliveryCheckMs: number
  readonly maxDeliveries: number
  readonly maxDeadLetters: number
  readonly commandTimeoutMs: number
}

/** What each kind of subscription is made of. */
export interface SubscriptionContext {
  readonly topic: string
  readonly key: string
  readonly deadKey: string
  readonly handler: DeliveryHandler
  readonly concurrency: number
  readonly onError: NonNullable<SubscribeOptions['onError']>
  readonly limits: SubscriptionLimits
  /** The broker's connection, for everything that does not wait. */
  readonly commands: RedisLink
  /** For a connection of the subscription's own. */
  readonly link: LinkOptions
}

/** No answer is held back for longer: a server that stands still is to be noticed. */
export function blockMsOf({ commandTimeoutMs }: SubscriptionLimits): number {
  return Math.min(5000, commandTimeoutMs)
}

/** Twice as long before each further delivery, up to `claimAfterMs`. */
export function pauseBefore(redelivery: number, limits: SubscriptionLimits): number {
  return Math.min(limits.claimAfterMs, limits.redeliveryDelayMs * 2 ** (redelivery - 1))
}
