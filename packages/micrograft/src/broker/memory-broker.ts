import {
  requireLimits,
  resolveOptions,
  ServiceError,
  type Broker,
  type BrokerCapabilities,
  type BrokerMessage,
  type CallOptions,
  type ComponentContext,
  type DeliveryHandler,
  type Logger,
  type SubscribeOptions,
  type Subscription,
} from '@micrograft/contracts'
import { requireQueue, requireTopic } from '@micrograft/plugin-kit'
import { defaultInboxSize, Inbox } from './inbox.js'
import { memorySubscribers, type MemorySubscribers } from './memory-subscribers.js'

export interface MemoryBrokerOptions {
  /** Brokers of one hub hear each other. @default the one that all of the process share */
  readonly hub?: MemorySubscribers | undefined
  /** Most messages that wait for one subscription. @default 1024 */
  readonly inboxSize?: number | undefined
  /** Not used: here so that every broker takes the flag's options. */
  readonly addresses?: readonly string[] | undefined
}

/** Carries messages between the services of one process. */
export function memoryBroker(options: MemoryBrokerOptions | undefined, context: ComponentContext): Broker {
  const what = 'the options of the memory broker'
  const { hub, inboxSize } = resolveOptions(
    what,
    { hub: undefined, inboxSize: defaultInboxSize, addresses: undefined },
    options,
  )
  requireLimits(what, { inboxSize })
  return new MemoryBroker(hub ?? sharedHub(), inboxSize, context.log)
}

const key = Symbol.for('micrograft.memory-broker')

/** The process is what the hub is of, and a plugin may bring a copy of this module: so the global object has it. */
function sharedHub(): MemorySubscribers {
  const place = globalThis as { [key]?: MemorySubscribers }
  return (place[key] ??= memorySubscribers())
}

class MemoryBroker implements Broker {
  readonly name = 'memory'
  readonly capabilities: BrokerCapabilities = {
    redelivery: false,
    durable: false,
    ordered: true,
    crossProcess: false,
  }
  readonly #hub: MemorySubscribers
  readonly #inboxSize: number
  readonly #log: Logger
  readonly #subscriptions = new Set<Subscription>()
  #closed = false

  constructor(hub: MemorySubscribers, inboxSize: number, log: Logger) {
    this.#hub = hub
    this.#inboxSize = inboxSize
    this.#log = log
  }

  async publish(topic: string, { header, body }: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    requireTopic(topic)
    let failure: unknown
    const put = (inbox: Inbox): boolean => {
      try {
        // A copy each: subscribers own what they get, and the publisher what it gave.
        inbox.put({ topic, message: { header: { ...header }, body: body.slice() }, redelivered: 0 })
        return true
      } catch (error) {
        failure ??= error
        return false
      }
    }
    for (const inbox of this.#hub.receivers(topic)) {
      const before = failure
      // Where one of a queue has no room another may.
      if (!put(inbox) && this.#hub.others(topic, inbox).some(put)) failure = before
    }
    if (failure) throw failure as Error
  }

  async subscribe(
    topic: string,
    handler: DeliveryHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#ready(options.signal)
    requireTopic(topic)
    requireQueue(options.queue)
    const inbox = new Inbox(handler, options, this.#inboxSize, this.#log)
    const leave = this.#hub.add(topic, options.queue, inbox)
    const subscription: Subscription = {
      topic,
      [Symbol.asyncDispose]: async () => {
        leave()
        this.#subscriptions.delete(subscription)
        await inbox[Symbol.asyncDispose]()
      },
    }
    this.#subscriptions.add(subscription)
    return subscription
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#subscriptions].map((each) => each[Symbol.asyncDispose]()))
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the memory broker was closed')
  }
}
