import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { ServiceError } from '@micrograft/contracts'
import { connect, ReasonCodes, type IClientOptions, type MqttClient } from 'mqtt'
import { loginError } from './mqtt-error.js'

export interface MqttLinkOptions {
  readonly client: IClientOptions
  /** For messages, without a password. */
  readonly label: string
  /** Told once each time that it is lost. */
  readonly onLost: (error: ServiceError) => void
}

/** Longest wait for a server that does not answer when it is told good-bye, in milliseconds. */
export const closeTimeoutMs = 1000

/** One connection, which comes back by itself. */
export class MqttLink implements AsyncDisposable {
  readonly client: MqttClient
  readonly #options: MqttLinkOptions
  #failure: ServiceError | undefined
  #failed: ((error: ServiceError) => void) | undefined
  /** Not there, or not yet: whoever opens it is told by `open`. */
  #lost = true
  #disposed: Promise<void> | undefined

  constructor(options: MqttLinkOptions) {
    const { label, onLost } = options
    this.#options = options
    this.client = connect({ ...options.client, clientId: `micrograft-${randomUUID()}` })
    this.client.on('error', (error) => {
      this.#failure = loginError(error, `cannot reach the MQTT server at ${label}`)
      this.#failed?.(this.#failure)
    })
    this.client.on('disconnect', ({ reasonCode = 0 }) => {
      const reason = (ReasonCodes as Readonly<Record<number, string>>)[reasonCode] ?? `reason ${reasonCode}`
      this.#failure = new ServiceError(
        'unavailable',
        `the MQTT server at ${label} ended the connection: ${reason}`,
      )
    })
    this.client.on('close', () => {
      // Each try to connect that fails ends here too.
      if (this.#lost || this.#disposed) return
      this.#lost = true
      onLost(this.unavailable())
    })
    this.client.on('connect', () => {
      // Acknowledgements of four bytes would wait for the peer's, and the library sets this nowhere.
      ;(this.client.stream as Socket).setNoDelay(true)
      this.#failure = undefined
      this.#lost = false
    })
  }

  /** Resolves when it is there for the first time. @throws `unavailable`, `unauthenticated`, or the signal's reason. */
  async open(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.client.connected) return
    const { connectTimeout, servers = [] } = this.#options.client
    let leave = () => undefined as void
    try {
      await new Promise<void>((resolve, reject) => {
        let failures = 0
        // What refuses a login refuses it at every door; what is not there may be at the next.
        this.#failed = (error) => {
          if (error.code !== 'unavailable' || ++failures >= servers.length) reject(error)
        }
        const abort = () => reject(signal?.reason)
        const timer = setTimeout(() => reject(this.unavailable()), connectTimeout)
        this.client.once('connect', resolve as () => void)
        signal?.addEventListener('abort', abort, { once: true })
        leave = () => {
          clearTimeout(timer)
          this.client.off('connect', resolve as () => void)
          signal?.removeEventListener('abort', abort)
        }
      })
    } finally {
      leave()
      this.#failed = undefined
    }
  }

  /** Why it cannot be used. */
  unavailable(): ServiceError {
    return (
      this.#failure ??
      new ServiceError(
        'unavailable',
        `cannot reach the MQTT server at ${this.#options.label}; is it running?`,
      )
    )
  }

  /** Ends it and what the server keeps for it, also where the server does not answer. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #dispose(): Promise<void> {
    const { client } = this
    if (!client.connected) {
      client.end(true)
      return
    }
    // The library waits for answers that may never come.
    for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id))
    const ended = client.endAsync({ properties: { sessionExpiryInterval: 0 } })
    await atMost(closeTimeoutMs, ended)
    client.stream.destroy()
  }
}

/** Resolves when `work` has ended, either way, or so much time has passed. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([work.catch(() => undefined), late])
  clearTimeout(timer)
}
