import {
  ServiceError,
  type ByteStream,
  type ComponentTypes,
  type Connection,
  type ConnectionHandler,
  type Logger,
  type ServerAddress,
  type ServiceRecord,
  type SharedType,
  type Store,
  type Subscription,
} from '@micrograft/contracts'
import type { Caller } from '../calls/caller.js'
import { Catalogue } from '../catalogue/catalogue.js'
import { Plugins } from '../catalogue/plugins.js'
import type { SwapOptions, SwapReport } from '../components/slot.js'
import type { EventContext, ListenOptions, PublishOptions } from '../events/events.js'
import { helpText } from '../flags/help.js'
import { Endpoints, type EndpointGroup } from '../handle/endpoints.js'
import { ServiceDispatcher } from '../handle/service-dispatcher.js'
import { builtIns } from './built-ins.js'
import { Door } from './door.js'
import { listenBytes } from './listen-bytes.js'
import { Registration } from './registration.js'
import { checkOptions, settle, type ServiceOptions } from './service-options.js'
import { makeParts, type Parts } from './service-parts.js'

type State = 'new' | 'ready' | 'started' | 'stopped'

/** A running service and its parts; made by `createService`. */
export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions
  readonly #catalogue = new Catalogue(builtIns)
  readonly #plugins: Plugins
  readonly #endpoints = new Endpoints()
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #whenStopped: (() => Promise<void>)[] = []
  #state: State = 'new'
  #initialising: Promise<Parts> | undefined
  #parts: Parts | undefined
  #server: ServerAddress | undefined
  #registration: Registration | undefined
  #stopping: Promise<void> | undefined

  /** @throws `invalid-option` */
  constructor(options: ServiceOptions) {
    checkOptions(options)
    settle(options, {})
    this.#options = options
    this.#plugins = new Plugins(this.#catalogue, { trust: options.pluginTrust })
  }

  get name(): string {
    return this.#parts?.settings.name ?? this.#options.name
  }

  /** What the service is registered as; `undefined` while it serves nothing. */
  get address(): string | undefined {
    return this.#server && (this.#parts?.settings.advertise ?? this.#server.address)
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
    if (this.#registration)
      void this.#registration
        .renew()
        .catch((error: unknown) => this.log.warn('cannot register new endpoints', { error }))
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
      { options: this.#options, catalogue: this.#catalogue, plugins: this.#plugins },
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
   * Puts another component into the place of one, while calls go on. Nothing has changed where it rejects.
   * @param name Its name in the catalogue.
   */
  swap(type: SharedType, name: string, options?: object & SwapOptions): Promise<SwapReport> {
    const { drainMs, ...rest } = options ?? {}
    return this.#ready().components.swap(type, name, rest, { drainMs })
  }

  /** The service's endpoints as the registry shows them. */
  get record(): ServiceRecord {
    const { settings } = this.#ready()
    const { metadata = {} } = this.#server ?? {}
    return {
      name: settings.name,
      version: settings.version,
      metadata: {},
      endpoints: this.#endpoints.describe(),
      nodes: [
        {
          id: `${settings.name}-${settings.id}`,
          address: this.address ?? '',
          metadata: { ...settings.metadata, ...metadata },
        },
      ],
    }
  }

  async #start(): Promise<void> {
    const { settings, components } = this.#ready()
    const serves = this.#endpoints.names.length > 0
    await components.start(serves ? ['logger', 'registry', 'transport', 'server'] : [])
    for (const begin of this.#waiting.splice(0)) await begin()
    if (!serves) return
    const transport = components.use('transport')
    const messages = new Door<Connection, ConnectionHandler>((accept) =>
      transport.listen(settings.address, accept),
    )
    const bytes = new Door<ByteStream, void>((accept) => listenBytes(settings.address, accept))
    const dispatcher = new ServiceDispatcher({
      service: settings.name,
      endpoints: this.#endpoints,
      codec: this.#ready().codecs.find,
      around: () => this.#ready().chains.handle,
      log: () => components.use('logger'),
    })
    this.#server = await components.use('server').start({
      dispatcher,
      listen: messages.listen,
      listenBytes: bytes.listen,
    })
    this.#registration = await Registration.begin({
      registry: components.use('registry'),
      record: () => this.record,
      ttlMs: settings.registerTtlMs,
      intervalMs: settings.registerIntervalMs,
      log: () => components.use('logger'),
    })
    components.use('logger').info('started', { service: settings.name, address: this.address })
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
    await step(() => this.#registration?.[Symbol.asyncDispose]())
    if (parts && before === 'started' && this.#server)
      await step(() => parts.components.use('server').stop({ graceMs: parts.settings.graceMs }))
    await step(() => parts?.events[Symbol.asyncDispose]())
    for (const work of this.#whenStopped.splice(0).reverse()) await step(work)
    await step(() => parts?.caller[Symbol.asyncDispose]())
    await step(() => parts?.components.dispose())
    await step(() => this.#plugins.close())
    if (errors.length > 0)
      throw new AggregateError(
        errors,
        `${this.name} stopped, but not cleanly: ${errors.map((error) => (error as Error).message).join('; ')}`,
      )
  }

  #ready(): Parts {
    if (!this.#parts)
      throw new ServiceError(
        'unavailable',
        `${this.#options.name} is not ready; await init(), start() or run() first`,
      )
    return this.#parts
  }
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
