import {
  timerMs,
  type CallOptions,
  type Logger,
  type Registry,
  type ServiceRecord,
} from '@micrograft/contracts'

export interface HttpRegistrationOptions {
  readonly registry: Registry
  readonly record: ServiceRecord
  readonly ttlMs: number
  readonly topic: string
  readonly log: Logger
}

/** A subscription's place in the registry, renewed until it ends. */
export class HttpRegistration {
  readonly #options: HttpRegistrationOptions
  /** All that is on its way to the registry; never rejects. */
  #underWay: Promise<unknown> = Promise.resolve()
  #renewal: NodeJS.Timeout | undefined

  constructor(options: HttpRegistrationOptions) {
    this.#options = options
  }

  async begin({ signal }: CallOptions): Promise<void> {
    const { ttlMs, topic, log } = this.#options
    this.#renewal = setInterval(
      () => {
        this.#register(undefined).catch((error: unknown) =>
          log.warn('cannot renew a subscription', { topic, error }),
        )
      },
      timerMs(ttlMs / 2),
    ).unref()
    await this.#register(signal)
  }

  /** Also where `begin` has failed: it may be in the registry all the same. */
  async end(): Promise<void> {
    const { registry, record, topic, log } = this.#options
    clearInterval(this.#renewal)
    // What comes to the registry behind the deregistration would stay there.
    await this.#underWay
    await registry
      .deregister(record)
      .catch((error: unknown) => log.warn('cannot deregister a subscription', { topic, error }))
  }

  #register(signal: AbortSignal | undefined): Promise<void> {
    const { registry, record, ttlMs } = this.#options
    const registering = registry.register(record, { ttlMs, signal })
    this.#underWay = Promise.allSettled([this.#underWay, registering])
    return registering
  }
}
