import { randomUUID } from 'node:crypto'
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
  type ServiceRecord,
  type SubscribeOptions,
  type Subscription,
} from '@micrograft/contracts'
import { abortable, requireQueue, requireTopic } from '@micrograft/plugin-kit'
import { HttpDeliveries, identityEntry } from './http-deliveries.js'
import { encodeEnvelope } from './http-envelope.js'
import { HttpInboxes } from './http-inboxes.js'
import { HttpRegistration } from './http-registration.js'
import { maxPipeline, pipelineEntry, secureEntry } from './http-sender.js'
import { broadcastVersion, brokerService } from './http-subscribers.js'
import { defaultInboxSize, Inbox } from './inbox.js'
import { parseHostAddress } from '../transport/host-address.js'
import { resolveTls, type Tls, type TlsOptions } from '../transport/tls-options.js'

export interface HttpBrokerOptions {
  /**
   * Where messages are received; the first counts. Other machines reach it where it names the host, or
   * `0.0.0.0` for all addresses of this machine. @default `127.0.0.1:0`, a free port that only this machine reaches
   */
  readonly addresses?: readonly string[] | undefined
  /** Largest message, in bytes. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Most messages that wait for one subscription; a publisher is told `overloaded` above it. @default 1024 */
  readonly inboxSize?: number | undefined
  /** How long a subscription of a process that died stays registered, in milliseconds. @default 60_000 */
  readonly registerTtlMs?: number | undefined
  /**
   * What messages are received with, and what they are posted with to subscribers whose node says that it
   * is secure. @default received without TLS, and posted to the latter with the authorities that Node knows
   */
  readonly tls?: TlsOptions | undefined
}

/**
 * Go-micro's default broker: subscribers stand in the registry, and a publisher posts each message to
 * them. No server is needed; nothing is kept for who is not there.
 *
 * - A message is a `POST /?id=<node id>` with go-micro's envelope, and 200 says that it is in the
 *   subscription's inbox; `publish` waits for that. A subscriber that does not answer within 5 s fails
 *   the message with `timeout`, or has it go to another of its queue.
 * - The metadata `pipeline` of a subscription says how many posts may follow one another on a connection
 *   before the first is answered; they are answered in their order. All subscriptions at its address share
 *   that connection. Who does not say so, as go-micro does not, gets one post at a time.
 * - The metadata `identity` is that of `SubscribeOptions`. A message for a subscription that is gone goes to
 *   the one with its identity, or to another of its queue, which the registry is asked for.
 * - A post that was lost with its connection is posted once more.
 * - The metadata `secure` of a subscription is `true` where posts to it are over TLS. A subscriber whose
 *   certificate is not believed fails the message with `unauthenticated`.
 */
export function httpBroker(options: HttpBrokerOptions | undefined, context: ComponentContext): Broker {
  const what = 'the options of the http broker'
  const resolved = resolveOptions(
    what,
    {
      addresses: ['127.0.0.1:0'] as readonly string[],
      maxMessageBytes: 4_194_304,
      inboxSize: defaultInboxSize,
      registerTtlMs: 60_000,
      tls: undefined as TlsOptions | undefined,
    },
    options,
  )
  const { maxMessageBytes, inboxSize, registerTtlMs } = resolved
  requireLimits(what, { maxMessageBytes, inboxSize, registerTtlMs })
  return new HttpBroker(resolved, context)
}

type Resolved = Required<{
  readonly [K in Exclude<keyof HttpBrokerOptions, 'tls'>]: NonNullable<HttpBrokerOptions[K]>
}> &
  Pick<HttpBrokerOptions, 'tls'>

class HttpBroker implements Broker {
  readonly name = 'http'
  readonly capabilities: BrokerCapabilities = {
    redelivery: false,
    durable: false,
    ordered: true,
    crossProcess: true,
  }
  readonly #options: Resolved
  readonly #context: ComponentContext
  readonly #tls: Tls | undefined
  readonly #inboxes: HttpInboxes
  readonly #deliveries: HttpDeliveries
  readonly #subscriptions = new Set<Subscription>()
  #closed = false

  constructor(options: Resolved, context: ComponentContext) {
    this.#options = options
    this.#context = context
    this.#tls = resolveTls('the http broker', options.tls)
    this.#inboxes = new HttpInboxes({
      ...parseHostAddress(options.addresses[0] ?? ''),
      maxMessageBytes: options.maxMessageBytes * 1.4 + 16_384,
      tls: this.#tls,
      log: context.log,
    })
    this.#deliveries = new HttpDeliveries(context.use('registry'), this.#tls, context.log)
  }

  async publish(topic: string, message: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    requireTopic(topic)
    if (message.body.byteLength > this.#options.maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message for ${topic} has ${message.body.byteLength} bytes and the broker takes ${this.#options.maxMessageBytes}`,
      )
    }
    const body = Buffer.from(encodeEnvelope(topic, message))
    await this.#deliveries.deliver(topic, body, signal)
  }

  async subscribe(
    topic: string,
    handler: DeliveryHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#ready(options.signal)
    requireTopic(topic)
    requireQueue(options.queue)
    const inbox = new Inbox(handler, options, this.#options.inboxSize, this.#context.log)
    const id = `${topic}-${randomUUID()}`
    const address = await this.#inboxes.add(id, topic, inbox)
    const registry = this.#context.use('registry')
    const registration = new HttpRegistration({
      registry,
      record: recordOf(id, address, {
        secure: this.#tls !== undefined,
        topic,
        queue: options.queue,
        identity: options.identity,
        pipeline: Math.min(this.#options.inboxSize, maxPipeline),
      }),
      ttlMs: this.#options.registerTtlMs,
      topic,
      log: this.#context.log,
    })
    let ended: Promise<void> | undefined
    const end = async () => {
      this.#subscriptions.delete(subscription)
      await registration.end()
      this.#inboxes.remove(id)
      await inbox[Symbol.asyncDispose]()
    }
    const subscription: Subscription = { topic, [Symbol.asyncDispose]: () => (ended ??= end()) }
    // From here on it ends with the broker.
    this.#subscriptions.add(subscription)
    try {
      this.#ready(options.signal)
      await registration.begin(options)
      // Publishers in other processes know it only then.
      const visible = new Promise((resolve) => setTimeout(resolve, registry.capabilities.visibleWithinMs))
      await abortable(visible, options.signal)
      this.#ready(options.signal)
      return subscription
    } catch (error) {
      const ending = subscription[Symbol.asyncDispose]()
      // Who gave up waits for no registry.
      if (!options.signal?.aborted) await ending
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#subscriptions].map((each) => each[Symbol.asyncDispose]()))
    await this.#inboxes[Symbol.asyncDispose]()
    await this.#deliveries[Symbol.asyncDispose]()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the http broker was closed')
  }
}

interface Described {
  readonly secure: boolean
  readonly topic: string
  readonly queue: string | undefined
  readonly identity: string | undefined
  readonly pipeline: number
}

function recordOf(
  id: string,
  address: string,
  { secure, topic, queue, identity, pipeline }: Described,
): ServiceRecord {
  const metadata = {
    [secureEntry]: String(secure),
    broker: 'http',
    topic,
    [pipelineEntry]: String(pipeline),
    ...(identity === undefined ? {} : { [identityEntry]: identity }),
  }
  return {
    name: brokerService,
    version: queue ?? broadcastVersion,
    metadata: {},
    endpoints: [],
    nodes: [{ id, address, metadata }],
  }
}
