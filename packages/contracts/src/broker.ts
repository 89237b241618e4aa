import type { CallOptions } from './values.js'

/** What is published. */
export interface BrokerMessage {
  /** Names are lower case. A broker may add its own; it takes none away. */
  readonly header: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** A message as a subscriber gets it. */
export interface Delivery {
  readonly topic: string
  readonly message: BrokerMessage
  /** How often it was delivered before; 0 the first time, and always where the broker cannot tell. */
  readonly redelivered: number
}

/**
 * Handles one message. Resolving acknowledges it; rejecting does not, and a broker that can
 * redelivers it. A message is acknowledged once, whichever way.
 */
export type DeliveryHandler = (delivery: Delivery) => Promise<void>

export interface SubscribeOptions extends CallOptions {
  /** Of all subscriptions with one queue name, one gets each message. @default each subscription gets every message */
  readonly queue?: string | undefined
  /** Most messages that the handler has at a time. Order is kept where this is 1. @default 1 */
  readonly concurrency?: number | undefined
  /**
   * Tells what takes a subscription's place from all others: the host gives it to one that it makes again on
   * another broker. A broker whose publishers find subscriptions by themselves makes it known to them. @default none
   */
  readonly identity?: string | undefined
  /** Told of what the handler rejects with, and of what the broker itself fails with. @default the log */
  readonly onError?: ((error: Error, delivery: Delivery | undefined) => void) | undefined
}

/** Ends when it is disposed: no new message is handed over, and it resolves when those under way are handled. */
export interface Subscription extends AsyncDisposable {
  readonly topic: string
}

export interface BrokerCapabilities {
  /** A message whose handler rejected is delivered again. */
  readonly redelivery: boolean
  /** A message is kept for a queue that nobody subscribes to at the moment. */
  readonly durable: boolean
  /** Messages of one publisher on one topic arrive in order at a subscription with concurrency 1. */
  readonly ordered: boolean
  /** Subscribers in other processes get messages. */
  readonly crossProcess: boolean
  /** `publish` may resolve while the message is still on its way to subscribers. @default false */
  readonly deliversLater?: boolean | undefined
}

/**
 * Publishes messages to whoever subscribes. Topics are non-empty, of letters, digits, `.`, `_`, `-`
 * and `/`, without wildcards.
 *
 * Every method rejects with `unavailable` when the backend is out of reach, `bad-request` for a
 * topic that is none, and `closed` once the broker is disposed. A subscription outlives the loss of
 * the backend: it goes on by itself when that is back.
 */
export interface Broker extends AsyncDisposable {
  readonly name: string
  readonly capabilities: BrokerCapabilities
  /**
   * Resolves when the broker has taken the message: from then on the broker's own promises hold
   * (`durable`, or delivery to those subscribed at this moment).
   * @throws `too-large` where the backend refuses the size.
   */
  publish(topic: string, message: BrokerMessage, options?: CallOptions): Promise<void>
  /** Resolves when messages published from then on are delivered. */
  subscribe(topic: string, handler: DeliveryHandler, options?: SubscribeOptions): Promise<Subscription>
}
