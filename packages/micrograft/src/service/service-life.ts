import { ServiceError, type Logger } from '@micrograft/contracts'
import { adminPath } from '../admin/admin-directory.js'
import { AdminSocket, type AdminTarget } from '../admin/admin-socket.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Plugins } from '../catalogue/plugins.js'
import { helpText } from '../flags/help.js'
import type { Endpoints } from '../handle/endpoints.js'
import { Hosting } from './hosting.js'
import { followNewerPlugins } from './newer-plugins.js'
import type { ServiceOptions, Settings } from './service-options.js'
import { makeParts, type Parts } from './service-parts.js'
import type { SwapEvents } from './swap-events.js'
import { untilAsked } from './until-asked.js'

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
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #whenStopped: (() => Promise<void>)[] = []
  #state: State = 'new'
  #initialising: Promise<Parts> | undefined
  #parts: Parts | undefined
  #hosting: Hosting | undefined
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
    return this.#admin?.path
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
    await this.init([], {})
    if (this.#state !== 'ready')
      throw new ServiceError('conflict', `${this.name} was ${this.#state} already; a service starts once`)
    this.#state = 'started'
    try {
      await this.#start()
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
    return new Promise((resolve, reject) => {
      this.#waiting.push(() =>
        work().then(resolve, (error: unknown) => {
          reject(error as Error)
          throw error
        }),
      )
    })
  }

  onStop(work: () => Promise<void>): void {
    this.#whenStopped.push(work)
  }

  async #start(): Promise<void> {
    const { plugins, catalogue, endpoints } = this.#has
    const { settings, components, swaps } = this.parts
    const serves = endpoints.names.length > 0
    await components.start(serves ? ['logger', 'registry', 'transport', 'server'] : [])
    const log = () => components.use('logger')
    await followNewerPlugins({ plugins, catalogue, swaps, log, folder: settings.pluginDir })
    for (const begin of this.#waiting.splice(0)) await begin()
    if (serves) {
      await this.hosted().start()
      log().info('started', { service: this.name, address: this.hosted().address })
    }
    await this.#openAdmin(settings, log())
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
    const parts = await this.#initialising?.catch(() => undefined)
    const errors: unknown[] = []
    const step = async (run: () => unknown) => {
      try {
        await run()
      } catch (error) {
        errors.push(error)
      }
    }
    await step(() => this.#admin?.[Symbol.asyncDispose]())
    await step(() => this.#hosting?.withdraw())
    if (parts && before === 'started') await step(() => this.#hosting?.stop(parts.settings.graceMs))
    await step(() => parts?.events[Symbol.asyncDispose]())
    for (const work of this.#whenStopped.splice(0).reverse()) await step(work)
    await step(() => parts?.caller[Symbol.asyncDispose]())
    await step(() => parts?.handlers[Symbol.asyncDispose]())
    await step(() => parts?.middleware[Symbol.asyncDispose]())
    await step(() => parts?.components.dispose())
    await step(() => this.#has.plugins.close())
    if (errors.length > 0)
      throw new AggregateError(
        errors,
        `${this.name} stopped, but not cleanly: ${errors.map((error) => (error as Error).message).join('; ')}`,
      )
  }
}
