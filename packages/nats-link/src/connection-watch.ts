import { ServiceError, type Logger } from '@micrograft/contracts'
import type { NatsConnectionImpl } from '@nats-io/transport-node'

/** Subjects that the server refused lately; more of them are not remembered. */
const maxDenied = 1000

/** Follows what the client library says of a connection, and tells of its losses. */
export class ConnectionWatch {
  readonly #what: string
  readonly #connection: NatsConnectionImpl
  readonly #log: Logger
  readonly #onLost = new Set<() => void>()
  readonly #onBack = new Set<() => void>()
  readonly #denied = new Map<string, Error>()
  #lost = false

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

  /** Why the server refused what was published on a subject since it was last forgotten. */
  denied(subject: string): Error | undefined {
    return this.#denied.get(subject)
  }

  forgetDenied(subject: string): void {
    this.#denied.delete(subject)
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
        this.#denied.clear()
        this.#log.info('connection to nats is back', { server: status.server })
        for (const listener of this.#onBack) listener()
      } else if (status.type === 'staleConnection') {
        // The client library first waits until the silent server has taken what is left to send.
        void this.#connection.protocol.transport.close(new Error('the server has fallen silent'))
      } else if (status.type === 'error') {
        this.#log.warn('nats refused something', { error: status.error })
        const { operation, subject } = status.error as { operation?: string; subject?: string }
        if (operation === 'publish' && subject !== undefined && this.#denied.size < maxDenied) {
          this.#denied.set(subject, status.error)
        }
      }
    }
  }
}
