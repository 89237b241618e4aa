import {
  ServiceError,
  type ComponentType,
  type ComponentTypes,
  type Logger,
  type PluginConfig,
  type ServiceRecord,
  type SharedType,
  type Store,
  type Subscription,
} from '@micrograft/contracts'
import { adminPath } from '../admin/admin-directory.js'
import { AdminSocket } from '../admin/admin-socket.js'
import { adminTarget } from '../admin/admin-target.js'
import type { Caller } from '../calls/caller.js'
import { Catalogue } from '../catalogue/catalogue.js'
import { Plugins } from '../catalogue/plugins.js'
import type { SlotReport, SwapEvent, SwapReport } from '../components/swap-options.js'
import type { EventContext, ListenOptions, PublishOptions } from '../events/events.js'
import { helpText } from '../flags/help.js'
import { Endpoints, type EndpointGroup } from '../handle/endpoints.js'
import { boxedPlugins } from './box.js'
import { builtIns } from './built-ins.js'
import { Hosting } from './hosting.js'
import { checkOptions, settle, type ServiceOptions, type Settings } from './service-options.js'
import { makeParts, type Parts } from './service-parts.js'
import { SwapEvents } from './swap-events.js'
import type { ServiceSwapOptions } from './swaps.js'

type State = 'new' | 'ready' | 'started' | 'stopped'

/** A running service and its parts; made by `createService`. */
export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions
  readonly #catalogue = new Catalogue(builtIns)
  readonly #plugins: Plugins
  readonly #swapEvents = new SwapEvents(() => this.name)
  readonly #endpoints = new Endpoints(() => this.#parts?.handlers)
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

  /** @throws `invalid-option` */
  constructor(options: ServiceOptions) {
    checkOptions(options)
    settle(options, {})
    this.#options = options
    this.#swapEvents.listen((event) => logSwap(this.#parts?.components.use('logger'), event))
    this.#plugins = new Plugins(this.#catalogue, { trust: options.pluginTrust })
    for (const each of boxedPlugins(this.#plugins)) this.#catalogue.add(each)
  }

  get name(): string {
    return this.#parts?.settings.name ?? this.#options.name ?? 'a service'
  }

  /** What the service is registered as; `undefined` while it serves nothing. */
  get address(): string | undefined {
    return this.#hosting?.address
  }

  /** Where the service can be asked for swaps; `undefined` where it cannot. */
  get adminPath(): string | undefined {
    return this.#admin?.path
  }

  /** What a flag may choose, by type. */
  get catalogue(): Catalogue {
    return this.#catalogue
  }

  /** Plugin files of this service, as go-micro's plugin package has them: `load`, `init`. */
  get plugins(): Plugins {
    return this.#plugins
  }

  /** Calls other services. @throws `unavailable` before `init`. */
  get client(): Caller {
    return this.#ready().caller
  }

  get store(): Store {
    return this.use('store')
  }

  get log(): Logger {
    return this.use('logger')
  }

  /** The service's component of a type: a reference that stays right when that one is swapped. */
  use<K extends SharedType>(type: K): ComponentTypes[K] {
    return this.#ready().components.use(type)
  }

  /**
   * Answers `<type>.<method>` for each method of `group`: functions, or what `unary`, `serverStream`,
   * `clientStream` and `twoWay` make.
   * @throws `invalid-option`, `conflict`
   */
  handle(type: string, group: EndpointGroup): this {
    this.#endpoints.add(type, group)
    void this.#hosting?.renew()
    return this
  }

  /** Publishes a value to a topic; see `Events.publish`. */
  publish(topic: string, payload: unknown, options?: PublishOptions): Promise<void> {
    return this.#ready().events.publish(topic, payload, options)
  }

  /** Subscribes to a topic; before the start, from the start on. */
  subscribe<T = unknown>(
    topic: string,
    handler: (payload: T, context: EventContext) => unknown,
    options?: ListenOptions,
  ): Promise<Subscription> {
    if (this.#state === 'started' || this.#state === 'ready')
      return this.#ready().events.subscribe(topic, handler as never, options)
    return new Promise((resolve, reject) => {
      this.#waiting.push(() =>
        this.#ready()
          .events.subscribe(topic, handler as never, options)
          .then(resolve, (error: unknown) => {
            reject(error as Error)
            throw error
          }),
      )
    })
  }

  /**
   * Loads plugins, then reads flags, environment and config file, so that a plugin's name is a legal
   * value; once. Nothing runs yet.
   *
   * @throws `invalid-option` or `not-found` for a flag or name that is none, listing the known ones; a
   *   `PluginError` for a plugin file that is refused, unless those are to be warnings.
   */
  async init(
    argv: readonly string[] = process.argv.slice(2),
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<void> {
    this.#initialising ??= makeParts(
      {
        options: this.#options,
        catalogue: this.#catalogue,
        plugins: this.#plugins,
        moves: {
          door: async (door) => this.#hosting?.doorMoved(door),
        },
        tell: this.#swapEvents.tell,
        handles: (endpoint) => this.#endpoints.owns(endpoint),
        changed: async () => this.#hosting?.renew(),
        local: () => this.#hosting?.local,
      },
      argv,
      env,
    )
    this.#parts = await this.#initialising
    if (this.#state === 'new') this.#state = 'ready'
  }

  /** Makes the components, opens the door and registers, where there is anything to answer. Where it rejects all is closed again. */
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

  /** Deregisters, lets calls and messages that are under way end, and closes every component. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Runs `work` when the service has stopped, before its components are closed. */
  onStop(work: () => Promise<void>): void {
    this.#whenStopped.push(work)
  }

  /**
   * Reads flags and environment, starts, waits for SIGINT, SIGTERM or `signal`, and stops. `--help`
   * prints the flags and ends at once.
   */
  async run({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#runs = true
    await this.init()
    if (this.#ready().help) {
      process.stdout.write(helpText(this.name, this.#catalogue))
      return this.stop()
    }
    await this.start()
    await untilAsked(signal)
    await this.stop()
  }

  /**
   * Puts another component into the place of one while calls, streams and messages go on. Until the new
   * one is made, checked and ready nothing has changed; then new calls go to it, and those under way
   * end where they began. The old one is kept ready for a while, and calls go back to it by themselves
   * where too many fail on the new one. `docs/hot-update.md` has what each type keeps.
   *
   * @param target A name in the catalogue, a plugin file, or a plugin that was imported.
   * @returns when the old component was disposed, or, with a `share`, when the new one has its part.
   * @throws what making the new one failed with, and what made calls go back: the old one serves.
   *   `conflict` while two components share calls; `unsupported` where the type cannot share.
   */
  swap(
    type: ComponentType,
    target: string | PluginConfig,
    options?: ServiceSwapOptions,
  ): Promise<SwapReport> {
    return this.#ready().swaps.swap(type, target, options)
  }

  /**
   * Gives a component that was swapped in with a `share` another part of the calls; 1 is all.
   * @param name Which codec, middleware or handlers. @default the only one
   */
  share(type: ComponentType, share: number, name?: string): Promise<SwapReport> {
    return this.#ready().swaps.share(type, share, name)
  }

  /**
   * Goes back to what was there before the last swap: at once while that is kept ready, else by making it again.
   * @throws `not-found` where there was nothing before.
   */
  rollback(type: ComponentType, name?: string, by?: string): Promise<SwapReport> {
    return this.#ready().swaps.rollback(type, name, by)
  }

  /** What sits in each slot that is used, and what it was swapped from. */
  get slots(): readonly SlotReport[] {
    return this.#ready().swaps.report()
  }

  /**
   * Calls `listener` with each step of each swap. `node:diagnostics_channel` has them as well, as
   * `micrograft:swap`.
   * @returns what ends that.
   */
  onSwap(listener: (event: SwapEvent) => void): () => void {
    return this.#swapEvents.listen(listener)
  }

  /** The service's endpoints as the registry shows them. */
  get record(): ServiceRecord {
    return this.#hosted().record
  }

  async #start(): Promise<void> {
    const { settings, components } = this.#ready()
    const serves = this.#endpoints.names.length > 0
    await components.start(serves ? ['logger', 'registry', 'transport', 'server'] : [])
    await this.#follow(settings)
    for (const begin of this.#waiting.splice(0)) await begin()
    if (serves) {
      await this.#hosted().start()
      this.log.info('started', { service: this.name, address: this.address })
    }
    await this.#openAdmin(settings)
  }

  /** Takes newer versions of plugins that it uses: those that appear in its folder, and those that its platform is told to prefer. */
  async #follow({ pluginDir }: Settings): Promise<void> {
    this.#plugins.follow((config) => void this.#prefer(config))
    if (pluginDir === undefined) return
    const { platform } = this.#plugins
    platform.events.on('refused', ({ path, error }) => this.log.warn('plugin file refused', { path, error }))
    await platform.watch(pluginDir)
  }

  async #prefer(config: PluginConfig): Promise<void> {
    const { swaps } = this.#ready()
    try {
      if (swaps.wants(config)) await swaps.swap(config.type, config, { by: 'preference' })
      else if (!swaps.has(config)) this.#catalogue.add(config)
    } catch (error) {
      this.log.warn('newer plugin not taken', { plugin: `${config.name} ${config.version}`, error })
    }
  }

  async #openAdmin({ name, id }: Settings): Promise<void> {
    const { admin } = this.#options
    if (!(admin ?? this.#runs)) return
    try {
      const path = typeof admin === 'string' ? admin : await adminPath(name, id)
      this.#admin = await AdminSocket.open(path, adminTarget(this))
    } catch (error) {
      // Where nobody asked for it, the service does without.
      if (admin !== undefined) throw error
      this.log.warn('no admin socket', { error })
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
    await step(() => this.#plugins.close())
    if (errors.length > 0)
      throw new AggregateError(
        errors,
        `${this.name} stopped, but not cleanly: ${errors.map((error) => (error as Error).message).join('; ')}`,
      )
  }

  #hosted(): Hosting {
    return (this.#hosting ??= new Hosting(this.#ready(), this.#endpoints))
  }

  #ready(): Parts {
    if (!this.#parts)
      throw new ServiceError('unavailable', `${this.name} is not ready; await init(), start() or run() first`)
    return this.#parts
  }
}

/** One line for the beginning of a swap and one for its end. */
function logSwap(
  log: Logger | undefined,
  { phase, slot, from, to, by, durationMs, drained, error }: SwapEvent,
): void {
  const fields = { slot, from, to, by, durationMs: Math.round(durationMs) }
  if (phase === 'failed' || phase === 'went-back') log?.warn(`swap ${phase}`, { ...fields, error })
  else if (phase === 'done') log?.info('swapped', { ...fields, drained, ...(error ? { error } : {}) })
  else log?.debug(`swap ${phase}`, fields)
}

function untilAsked(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      process.off('SIGINT', done).off('SIGTERM', done)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    process.on('SIGINT', done).on('SIGTERM', done)
    if (signal?.aborted) done()
    else signal?.addEventListener('abort', done, { once: true })
  })
}

/**
 * Makes a service. Nothing runs until `run`, or `init` and `start`. Two services in one process share
 * nothing.
 * @throws `invalid-option`
 */
export function createService(options: ServiceOptions): Service {
  return new Service(options)
}
