import { ServiceError, type Logger } from '@micrograft/contracts'
import { adminPath } from '../admin/admin-directory.js'
import { AdminSocket, type AdminTarget } from '../admin/admin-socket.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Plugins } from '../catalogue/plugins.js'
import { within } from '../components/within.js'
import { helpText } from '../flags/help.js'
import type { Endpoints } from '../handle/endpoints.js'
import { Hosting } from './hosting.js'
import { followNewerPlugins } from './newer-plugins.js'
import type { ServiceOptions, Settings } from './service-options.js'
import { makeParts, type Parts } from './service-parts.js'
import type { SwapEvents } from './swap-events.js'
import { untilAsked } from './until-asked.js'

/** What is done once the service starts. */
interface Waiting {
  readonly begin: () => Promise<void>
  readonly refuse: (error: Error) => void
}

type State = 'new' | 'ready' | 'started' | 'stopped'

/** What a service has before its parts are made. */
export interface ServiceLifeOptions {
  readonly options: ServiceOptions
  readonly catalogue: Catalogue
  readonly plugins: Plugins
  readonly endpoints: Endpoints
  readonly swapEvents: SwapEvents
  readonly adminTarget: () => AdminTarget
}

/**
 * The life of a service, from new to ready, started and stopped: what is made, opened and registered at
 * each step, and closed in the reverse of that order. `Service` says what each method promises.
 */
export class ServiceLife {
  readonly #has: ServiceLifeOptions
  readonly #waiting: Waiting[] = []
  readonly #whenStopped: (() => Promise<void>)[] = []
  #state: State = 'new'
  #initialising: Promise<Parts> | undefined
  #parts: Parts | undefined
  #hosting: Hosting | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #admin: AdminSocket | undefined
  /** Whether this process is the service's: it was started by `run`. */
  #runs = false

  constructor(options: ServiceLifeOptions) {
    this.#has = options
  }

  get name(): string {
    return this.#parts?.settings.name ?? this.#has.options.name ?? 'a service'
  }

  get adminPath(): string | undefined {
    return this.#state === 'stopped' ? undefined : this.#admin?.path
  }

  /** @throws `unavailable` before `init`. */
  get parts(): Parts {
    if (!this.#parts)
      throw new ServiceError('unavailable', `${this.name} is not ready; await init(), start() or run() first`)
    return this.#parts
  }

  /** The parts, where they are made. */
  get made(): Parts | undefined {
    return this.#parts
  }

  /** The side that answers, where anything asked for it yet. */
  get hosting(): Hosting | undefined {
    return this.#hosting
  }

  /** @throws `unavailable` before `init`. */
  hosted(): Hosting {
    return (this.#hosting ??= new Hosting(this.parts, this.#has.endpoints))
  }

  async init(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<void> {
    const { options, catalogue, plugins, endpoints, swapEvents } = this.#has
    if (this.#state === 'stopped') throw this.#stoppedError()
    this.#initialising ??= makeParts(
      {
        options,
        catalogue,
        plugins,
        moves: {
          door: async (door) => this.#hosting?.doorMoved(door),
        },
        tell: swapEvents.tell,
        handles: (endpoint) => endpoints.owns(endpoint),
        changed: async () => this.#hosting?.renew(),
        local: () => this.#hosting?.local,
      },
      argv,
      env,
    )
    this.#parts = await this.#initialising
    endpoints.attach(this.#parts.handlers)
    if (this.#state === 'new') this.#state = 'ready'
  }

  async start(): Promise<void> {
    if (this.#state === 'started' || this.#state === 'stopped')
      throw new ServiceError('conflict', `${this.name} was ${this.#state} already; a service starts once`)
    try {
      await this.init([], {})
      this.#throwIfStopped()
      this.#state = 'started'
      this.#starting = this.#start()
      await this.#starting
    } catch (error) {
      await this.stop().catch(() => undefined)
      throw error
    }
  }

  async run(signal: AbortSignal | undefined): Promise<void> {
    this.#runs = true
    await this.init(process.argv.slice(2), process.env)
    if (this.parts.help) {
      process.stdout.write(helpText(this.name, this.#has.catalogue))
      return this.stop()
    }
    await this.start()
    await untilAsked(signal)
    await this.stop()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Does `work` at once where the parts are there, else when the service starts, which fails where it does. */
  whenReady<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === 'started' || this.#state === 'ready') return work()
    if (this.#state === 'stopped') return Promise.reject(this.#stoppedError())
    const done = new Promise<T>((resolve, reject) => {
      const begin = () =>
        work().then(resolve, (error: unknown) => {
          reject(error as Error)
          throw error
        })
      this.#waiting.push({ begin, refuse: reject })
    })
    // Who started or stopped the service is told as well: nobody need look here.
    done.catch(() => undefined)
    return done
  }

  onStop(work: () => Promise<void>): void {
    this.#whenStopped.push(work)
  }

  async #start(): Promise<void> {
    const { plugins, catalogue, endpoints } = this.#has
    const { settings, components, swaps } = this.parts
    const serves = endpoints.names.length > 0
    await components.start(serves ? ['logger', 'registry', 'transport', 'server'] : [])
    this.#throwIfStopped()
    const log = () => components.use('logger')
    await followNewerPlugins({ plugins, catalogue, swaps, log, folder: settings.pluginDir })
    while (this.#waiting.length > 0) await this.#waiting.shift()?.begin()
    this.#throwIfStopped()
    if (serves) {
      await this.hosted().start()
      this.#throwIfStopped()
      log().info('started', { service: this.name, address: this.hosted().address })
    }
    await this.#openAdmin(settings, log())
    this.#throwIfStopped()
  }

  #throwIfStopped(): void {
    if (this.#state === 'stopped') throw this.#stoppedError()
  }

  #stoppedError(): ServiceError {
    return new ServiceError('closed', `${this.name} was stopped`)
  }

  async #openAdmin({ name, id }: Settings, log: Logger): Promise<void> {
    const { adminTarget, options } = this.#has
    const { admin } = options
    if (!(admin ?? this.#runs)) return
    try {
      const path = typeof admin === 'string' ? admin : await adminPath(name, id)
      this.#admin = await AdminSocket.open(path, adminTarget())
    } catch (error) {
      // Where nobody asked for it, the service does without.
      if (admin !== undefined) throw error
      log.warn('no admin socket', { error })
    }
  }

  async #stop(): Promise<void> {
    const before = this.#state
    this.#state = 'stopped'
    for (const { refuse } of this.#waiting.splice(0)) refuse(this.#stoppedError())
    const parts = await this.#initialising?.catch(() => undefined)
    const { graceMs = 0, makeTimeoutMs = 0 } = parts?.settings ?? {}
    const errors: unknown[] = []
    const step = async (run: () => Promise<unknown> | undefined) => {
      try {
        await run()
      } catch (error) {
        errors.push(error)
      }
    }
    /** As `step`, of what waits for components: one that never ends is left. */
    const brief = (what: string, run: () => Promise<unknown> | undefined) => {
      const ms = graceMs + makeTimeoutMs
      const late = () => new ServiceError('timeout', `${what} did not end within ${ms} ms`)
      return step(() => within(ms, Promise.resolve(run()), late))
    }
    await brief('the registration', () => this.#hosting?.withdraw())
    // It looks whether it was stopped, and closes nothing.
    await brief('the start', () => this.#starting?.catch(() => undefined))
    await step(() => this.#admin?.[Symbol.asyncDispose]())
    if (before === 'started') await brief('the servers', () => this.#hosting?.stop(graceMs))
    await brief('the subscriptions', () => parts?.events[Symbol.asyncDispose]())
    for (const work of this.#whenStopped.splice(0).reverse()) await step(work)
    await brief('the nodes that were selected', () => parts?.caller[Symbol.asyncDispose]())
    await step(() => parts?.handlers[Symbol.asyncDispose]())
    await step(() => parts?.middleware[Symbol.asyncDispose]())
    await step(() => parts?.codecs[Symbol.asyncDispose]())
    await step(() => parts?.components.dispose())
    await step(() => this.#has.plugins.close())
    if (errors.length > 0)
      throw new AggregateError(
        errors,
        `${this.name} stopped, but not cleanly: ${errors.map((error) => (error as Error).message).join('; ')}`,
      )
  }
}
