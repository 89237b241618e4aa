import type {
  ComponentType,
  ComponentTypes,
  Logger,
  PluginConfig,
  ServiceRecord,
  SharedType,
  Store,
  Subscription,
} from '@micrograft/contracts'
import { adminTarget } from '../admin/admin-target.js'
import type { Caller } from '../calls/caller.js'
import { Catalogue } from '../catalogue/catalogue.js'
import { Plugins } from '../catalogue/plugins.js'
import type { SlotReport, SwapEvent, SwapReport } from '../components/swap-options.js'
import type { EventContext, ListenOptions, PublishOptions } from '../events/events.js'
import { Endpoints, type EndpointGroup } from '../handle/endpoints.js'
import { boxedPlugins } from './box.js'
import { builtIns } from './built-ins.js'
import { ServiceLife } from './service-life.js'
import { checkOptions, settle, type ServiceOptions } from './service-options.js'
import { SwapEvents } from './swap-events.js'
import { logSwap } from './swap-log.js'
import type { ServiceSwapOptions } from './swaps.js'

/** A service as its owner has it; made by `createService`. */
export class Service implements AsyncDisposable {
  readonly #catalogue = new Catalogue(builtIns)
  readonly #plugins: Plugins
  readonly #swapEvents = new SwapEvents(() => this.name)
  readonly #endpoints = new Endpoints()
  readonly #life: ServiceLife

  /** @throws `invalid-option` */
  constructor(options: ServiceOptions) {
    checkOptions(options)
    settle(options, {})
    this.#plugins = new Plugins(this.#catalogue, { trust: options.pluginTrust })
    for (const each of boxedPlugins(this.#plugins)) this.#catalogue.add(each)
    this.#life = new ServiceLife({
      options,
      catalogue: this.#catalogue,
      plugins: this.#plugins,
      endpoints: this.#endpoints,
      swapEvents: this.#swapEvents,
      adminTarget: () => adminTarget(this),
    })
    this.#swapEvents.listen((event) => logSwap(this.#life.made?.components.use('logger'), event))
  }

  get name(): string {
    return this.#life.name
  }

  /** What the service is registered as; `undefined` while it serves nothing. */
  get address(): string | undefined {
    return this.#life.hosting?.address
  }

  /** Where the service can be asked for swaps; `undefined` where it cannot. */
  get adminPath(): string | undefined {
    return this.#life.adminPath
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
    return this.#life.parts.caller
  }

  get store(): Store {
    return this.use('store')
  }

  get log(): Logger {
    return this.use('logger')
  }

  /** The service's component of a type: a reference that stays right when that one is swapped. */
  use<K extends SharedType>(type: K): ComponentTypes[K] {
    return this.#life.parts.components.use(type)
  }

  /**
   * Answers `<type>.<method>` for each method of `group`: functions, or what `unary`, `serverStream`,
   * `clientStream` and `twoWay` make.
   * @throws `invalid-option`, `conflict`
   */
  handle(type: string, group: EndpointGroup): this {
    this.#endpoints.add(type, group)
    void this.#life.hosting?.renew()
    return this
  }

  /** Publishes a value to a topic; see `Events.publish`. */
  async publish(topic: string, payload: unknown, options?: PublishOptions): Promise<void> {
    await this.#life.parts.events.publish(topic, payload, options)
  }

  /** Subscribes to a topic; before the start, from the start on. */
  subscribe<T = unknown>(
    topic: string,
    handler: (payload: T, context: EventContext) => unknown,
    options?: ListenOptions,
  ): Promise<Subscription> {
    return this.#life.whenReady(() => this.#life.parts.events.subscribe(topic, handler as never, options))
  }

  /**
   * Loads plugins, then reads flags, environment and config file, so that a plugin's name is a legal
   * value; once. Nothing runs yet.
   *
   * @throws `invalid-option` or `not-found` for a flag or name that is none, listing the known ones; a
   *   `PluginError` for a plugin file that is refused, unless those are to be warnings.
   */
  init(
    argv: readonly string[] = process.argv.slice(2),
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<void> {
    return this.#life.init(argv, env)
  }

  /** Makes the components, opens the door and registers, where there is anything to answer. Where it rejects all is closed again. */
  start(): Promise<void> {
    return this.#life.start()
  }

  /** Deregisters, lets calls and messages that are under way end, and closes every component. Safe to call twice. */
  stop(): Promise<void> {
    return this.#life.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Runs `work` when the service has stopped, before its components are closed. */
  onStop(work: () => Promise<void>): void {
    this.#life.onStop(work)
  }

  /**
   * Reads flags and environment, starts, waits for SIGINT, SIGTERM or `signal`, and stops. `--help`
   * prints the flags and ends at once.
   */
  run({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#life.run(signal)
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
  async swap(
    type: ComponentType,
    target: string | PluginConfig,
    options?: ServiceSwapOptions,
  ): Promise<SwapReport> {
    return this.#life.parts.swaps.swap(type, target, options)
  }

  /**
   * Gives a component that was swapped in with a `share` another part of the calls; 1 is all.
   * @param name Which codec, middleware or handlers. @default the only one
   */
  async share(type: ComponentType, share: number, name?: string): Promise<SwapReport> {
    return this.#life.parts.swaps.share(type, share, name)
  }

  /**
   * Goes back to what was there before the last swap: at once while that is kept ready, else by making it again.
   * @throws `not-found` where there was nothing before.
   */
  async rollback(type: ComponentType, name?: string, by?: string): Promise<SwapReport> {
    return this.#life.parts.swaps.rollback(type, name, by)
  }

  /** What sits in each slot that is used, and what it was swapped from. */
  get slots(): readonly SlotReport[] {
    return this.#life.parts.swaps.report()
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
    return this.#life.hosted().record
  }
}

/**
 * Makes a service. Nothing runs until `run`, or `init` and `start`. Two services in one process share
 * nothing.
 * @throws `invalid-option`
 */
export function createService(options: ServiceOptions): Service {
  return new Service(options)
}
