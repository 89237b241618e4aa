import { ServiceError, type Logger, type Registry, type ServiceRecord } from '@micrograft/contracts'

export interface RegistrationOptions {
  readonly registry: Registry
  /** The record as it is at the moment: endpoints may have come. */
  readonly record: () => ServiceRecord
  readonly ttlMs: number
  readonly intervalMs: number
  readonly log: () => Logger
}

/** Keeps a node registered: renews it in time, and takes it out when disposed. */
export class Registration implements AsyncDisposable {
  readonly #options: RegistrationOptions
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> = Promise.resolve()
  #ended = false

  private constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** @throws what the registry rejects with: a service that nobody can find has not started. */
  static async begin(options: RegistrationOptions): Promise<Registration> {
    const registration = new Registration(options)
    await registration.renew()
    registration.#timer = setInterval(() => void registration.#renewQuietly(), options.intervalMs)
    registration.#timer.unref()
    return registration
  }

  /** Registers the node as it is now. */
  async renew(): Promise<void> {
    if (this.#ended) throw new ServiceError('closed', 'the node was deregistered')
    const { registry, record, ttlMs } = this.#options
    await registry.register(record(), { ttlMs })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    clearInterval(this.#timer)
    await this.#renewing
    await this.#options.registry.deregister(this.#options.record())
  }

  #renewQuietly(): Promise<void> {
    this.#renewing = this.renew().catch((error: unknown) => {
      if (!this.#ended) this.#options.log().warn('cannot renew the registration', { error })
    })
    return this.#renewing
  }
}
