import {
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
import { encodeHeader, overhead } from './message.js'
import { MqttLink } from './mqtt-link.js'
import {
  addressLabel,
  clientOptions,
  maxHeaderBytes,
  resolveSettings,
  type MqttBrokerOptions,
  type Settings,
} from './mqtt-options.js'
import { MqttSender } from './mqtt-sender.js'
import { MqttSubscription } from './mqtt-subscription.js'
import { requireConcurrency } from './names.js'

/** A broker on MQTT 5: messages of QoS 1, and shared subscriptions for queues. */
export async function mqttBroker(
  options: MqttBrokerOptions | undefined,
  { log, signal }: ComponentContext,
): Promise<Broker> {
  signal.throwIfAborted()
  const settings = resolveSettings(options)
  const link = new MqttLink({
    client: { ...clientOptions(settings), clean: true },
    label: addressLabel(settings),
    onLost: (error) => log.warn('lost the connection', { error }),
  })
  const sender = new MqttSender({
    link,
    timeoutMs: settings.publishTimeoutMs,
    maxPending: settings.maxPending,
  })
  try {
    await link.open(signal)
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
  return new MqttBroker(settings, link, sender, log)
}

class MqttBroker implements Broker {
  readonly name = 'mqtt'
  readonly capabilities: BrokerCapabilities = {
    redelivery: false,
    durable: false,
    ordered: true,
    crossProcess: true,
    deliversLater: true,
  }
  readonly #settings: Settings
  readonly #link: MqttLink
  readonly #sender: MqttSender
  readonly #log: Logger
  readonly #subscriptions = new Set<MqttSubscription>()
  #disposed: Promise<void> | undefined

  constructor(settings: Settings, link: MqttLink, sender: MqttSender, log: Logger) {
    this.#settings = settings
    this.#link = link
    this.#sender = sender
    this.#log = log
  }

  /** An abort leaves open whether the message goes out. */
  async publish(topic: string, { header, body }: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    requireTopic(topic)
    const { maxMessageBytes } = this.#settings
    if (body.byteLength > maxMessageBytes)
      throw new ServiceError(
        'too-large',
        `a message for ${topic} has ${body.byteLength} bytes and the broker takes ${maxMessageBytes}`,
      )
    const properties = encodeHeader(topic, header)
    const serverTopic = this.#serverTopic(topic)
    await this.#sender.send(
      `cannot publish to ${topic}`,
      {
        topic: serverTopic,
        body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
        properties,
        bytes: body.byteLength + overhead(serverTopic, properties),
      },
      signal,
    )
  }

  async subscribe(
    topic: string,
    handler: DeliveryHandler,
    { queue, concurrency = 1, onError, signal }: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#ready(signal)
    requireTopic(topic)
    requireQueue(queue)
    requireConcurrency(concurrency)
    const { connectTimeoutMs, sessionExpiryMs, maxMessageBytes, drainMs } = this.#settings
    const label = addressLabel(this.#settings)
    const late = new AbortController()
    const timer = setTimeout(
      () => late.abort(new ServiceError('unavailable', `the MQTT server at ${label} did not answer in time`)),
      connectTimeoutMs,
    )
    const subscription = new MqttSubscription({
      topic,
      serverTopic: this.#serverTopic(topic),
      queue,
      concurrency,
      handler,
      onError: onError ?? ((error) => this.#log.error('subscriber failed', { topic, error })),
      client: {
        ...clientOptions(this.#settings),
        // The session outlives the connection, under a name that nobody else has.
        clean: false,
        properties: {
          sessionExpiryInterval: Math.ceil(sessionExpiryMs / 1000),
          receiveMaximum: concurrency,
          maximumPacketSize: maxMessageBytes + maxHeaderBytes + 1024,
        },
      },
      label,
      drainMs,
      onEnd: (ended) => this.#subscriptions.delete(ended),
    })
    this.#subscriptions.add(subscription)
    try {
      await subscription.opened(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } finally {
      clearTimeout(timer)
    }
    return subscription
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #dispose(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each[Symbol.asyncDispose]()))
    await this.#sender[Symbol.asyncDispose]()
    await this.#link[Symbol.asyncDispose]()
  }

  #serverTopic(topic: string): string {
    const { prefix } = this.#settings
    return prefix === '' ? topic : `${prefix}/${topic}`
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#disposed) throw new ServiceError('closed', 'the mqtt broker was closed')
  }
}
