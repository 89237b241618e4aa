import { ServiceError } from '@micrograft/contracts'
import { mqttError } from './mqtt-error.js'
import { atMost, closeTimeoutMs, type MqttLink } from './mqtt-link.js'

export interface MqttSenderOptions {
  readonly link: MqttLink
  readonly timeoutMs: number
  readonly maxPending: number
}

export interface Outgoing {
  readonly topic: string
  readonly body: Buffer
  readonly properties: Record<string, string>
  /** Of the whole packet, in bytes, or a little more. */
  readonly bytes: number
}

/** Most messages that the server has not answered yet; it may say less. */
const maxInFlight = 8192

/**
 * Sends messages in the order in which it is given them, each until the server has taken it, and never
 * more at a time than the server takes. What was under way when the connection is lost is told so,
 * and not sent again.
 */
export class MqttSender implements AsyncDisposable {
  readonly #options: MqttSenderOptions
  readonly #waiting = new Set<() => void>()
  #pending = 0
  #inFlight = 0
  #closed = false
  #idle: (() => void) | undefined

  constructor(options: MqttSenderOptions) {
    this.#options = options
    const { client } = options.link
    client.on('connect', () => this.#next())
    client.on('close', () => {
      for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id))
    })
  }

  /**
   * @param what For errors, e.g. `cannot publish to orders`.
   * @throws `overloaded`, `too-large`, `unavailable`, and `timeout` for what was sent and not answered.
   */
  send(what: string, message: Outgoing, signal?: AbortSignal): Promise<void> {
    const { link, timeoutMs, maxPending } = this.#options
    if (this.#pending >= maxPending)
      return Promise.reject(
        new ServiceError('overloaded', `${what}: ${maxPending} messages wait to be taken already`),
      )
    this.#pending++
    return new Promise<void>((resolve, reject) => {
      let over = false
      let sent = false
      const end = (settle: () => void) => {
        if (over) return
        over = true
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        this.#waiting.delete(start)
        settle()
        if (--this.#pending === 0) this.#idle?.()
      }
      const late = () =>
        link.client.connected || sent
          ? new ServiceError('timeout', `${what}: the server did not take it within ${timeoutMs} ms`)
          : link.unavailable()
      const timer = setTimeout(() => end(() => reject(late())), timeoutMs)
      const abort = () => end(() => reject(signal?.reason))
      const start = () => {
        if (this.#closed)
          return end(() => reject(new ServiceError('closed', `${what}: the mqtt broker was closed`)))
        sent = true
        this.#publish(what, message).then(
          () => end(resolve),
          (error: unknown) => end(() => reject(error)),
        )
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.add(start)
      this.#next()
    })
  }

  /** Waits a while for what is to be taken; what was not sent by then will not be. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#pending > 0)
      await atMost(closeTimeoutMs, new Promise<void>((resolve) => (this.#idle = resolve)))
    this.#closed = true
    for (const start of this.#waiting) start()
  }

  #next(): void {
    const { client } = this.#options.link
    const most = Math.min(maxInFlight, client.serverProperties?.receiveMaximum ?? maxInFlight)
    for (const start of this.#waiting) {
      if (!client.connected || this.#inFlight >= most) return
      this.#waiting.delete(start)
      start()
    }
  }

  async #publish(what: string, { topic, body, properties, bytes }: Outgoing): Promise<void> {
    const { link } = this.#options
    const { client } = link
    // The library does not write a packet whose user properties are none.
    const some = Object.keys(properties).length > 0 ? { properties: { userProperties: properties } } : {}
    const largest = client.serverProperties?.maximumPacketSize
    if (largest !== undefined && bytes > largest)
      throw new ServiceError('too-large', `${what}: it has ${bytes} bytes and the server takes ${largest}`)
    this.#inFlight++
    try {
      await new Promise<void>((resolve, reject) => {
        client.publish(topic, body, { qos: 1, ...some }, (error) => {
          if (!error) resolve()
          else if (client.connected) reject(mqttError(error, what))
          else
            reject(
              new ServiceError('unavailable', `${what}: ${link.unavailable().message}`, { cause: error }),
            )
        })
      })
    } finally {
      this.#inFlight--
      this.#next()
    }
  }
}
