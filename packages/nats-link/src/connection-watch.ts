import { ServiceError, type Logger } from '@micrograft/contracts'
import type { NatsConnectionImpl } from '@nats-io/transport-node'

/** What is being published on one subject. */
export interface Publishing {
  count: number
  /** Why the server refused it. */
  denied: Error | undefined
}

/** Follows what the client library says of a connection, and tells of its losses. */
export class ConnectionWatch {
  readonly #what: string
  readonly #connection: NatsConnectionImpl
  readonly #log: Logger
  readonly #onLost = new Set<() => void>()
  readonly #onBack = new Set<() => void>()
  readonly #publishing = new Map<string, Publishing>()
  #lost = false
  #overLimit = 0

  /** @param what Names the component in errors. */
  constructor(what: string, connection: NatsConnectionImpl, log: Logger) {
    this.#what = what
    this.#connection = connection
    this.#log = log
    void this.#follow()
  }

  get connected(): boolean {
    return this.#connection.protocol.connected && !this.#connection.isClosed()
  }

  /** How often the server has said that it takes no more subscriptions; it does not say which. */
  get overLimit(): number {
    return this.#overLimit
  }

  /** Tells of each loss of the connection. @returns ends that. */
  onLost(listener: () => void): () => void {
    this.#onLost.add(listener)
    return () => this.#onLost.delete(listener)
  }

  /** Tells when the connection is there again, with its subscriptions. @returns ends that. */
  onBack(listener: () => void): () => void {
    this.#onBack.add(listener)
    return () => this.#onBack.delete(listener)
  }

  /** Hears from now on whether the server refuses what is published on a subject; `published` ends that. */
  publishing(subject: string): Publishing {
    let publishing = this.#publishing.get(subject)
    if (!publishing) this.#publishing.set(subject, (publishing = { count: 0, denied: undefined }))
    publishing.count++
    return publishing
  }

  published(subject: string, publishing: Publishing): void {
    if (--publishing.count === 0) this.#publishing.delete(subject)
  }

  /** `work`, or `unavailable` as soon as the connection is lost over it. */
  unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const forget = this.onLost(() => {
        forget()
        reject(new ServiceError('unavailable', `${this.#what} lost its server before the answer came`))
      })
      work.then(
        (value) => {
          forget()
          resolve(value)
        },
        (error: unknown) => {
          forget()
          reject(error as Error)
        },
      )
    })
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect' && !this.#lost) {
        this.#lost = true
        this.#log.warn('connection to nats lost', { server: status.server })
        for (const listener of this.#onLost) listener()
      } else if (status.type === 'reconnect' && this.#lost && this.connected) {
        this.#lost = false
        this.#log.info('connection to nats is back', { server: status.server })
        for (const listener of this.#onBack) listener()
      } else if (status.type === 'staleConnection') {
        // The client library first waits until the silent server has taken what is left to send.
        void this.#connection.protocol.transport.close(new Error('the server has fallen silent'))
      } else if (status.type === 'error') {
        this.#log.warn('nats refused something', { error: status.error })
        if (/maximum subscriptions exceeded/i.test(status.error.message)) this.#overLimit++
        const { operation, subject } = status.error as { operation?: string; subject?: string }
        const refused = operation === 'publish' && subject !== undefined && this.#publishing.get(subject)
        if (refused) refused.denied = status.error
      }
    }
  }
}
