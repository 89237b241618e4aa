import { ServiceError, type Logger, type Registry, type ServiceRecord } from '@micrograft/contracts'

export interface RegistrationOptions {
  readonly registry: Registry
  /** The record as it is at the moment: endpoints may have come. */
  readonly record: () => ServiceRecord
  readonly ttlMs: number
  /** 0 does not renew it. */
  readonly intervalMs: number
  readonly log: () => Logger
}

/** Keeps a node registered: renews it in time, and takes it out when disposed. */
export class Registration implements AsyncDisposable {
  readonly #options: RegistrationOptions
  #timer: NodeJS.Timeout | undefined
  readonly #renewing = new Set<Promise<void>>()
  #ended = false

  private constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** @throws what the registry rejects with: a service that nobody can find has not started. */
  static async begin(options: RegistrationOptions): Promise<Registration> {
    const registration = new Registration(options)
    await registration.renew()
    const { intervalMs, log } = options
    const failed = (error: unknown) => {
      if (!registration.#ended) log().warn('cannot renew the registration', { error })
    }
    if (intervalMs > 0)
      registration.#timer = setInterval(() => registration.renew().catch(failed), intervalMs).unref()
    return registration
  }

  /** Registers the node as it is now. */
  async renew(): Promise<void> {
    if (this.#ended) throw new ServiceError('closed', 'the node was deregistered')
    const { registry, record, ttlMs } = this.#options
    const renewing = registry.register(record(), { ttlMs })
    this.#renewing.add(renewing)
    try {
      await renewing
    } finally {
      this.#renewing.delete(renewing)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    clearInterval(this.#timer)
    // One that is under way would come after this.
    await Promise.allSettled(this.#renewing)
    await this.#options.registry.deregister(this.#options.record())
  }
}
