import type { Auth } from './auth.js'
import type { Broker } from './broker.js'
import type { Client } from './client.js'
import type { Codec } from './codec.js'
import type { Config } from './config.js'
import type { HandlerSet } from './handler.js'
import type { Logger } from './logger.js'
import type { Middleware } from './middleware.js'
import type { Registry } from './registry.js'
import type { Selector } from './selector.js'
import type { Server } from './server.js'
import type { Store } from './store.js'
import type { Tracer } from './tracer.js'
import type { Transport } from './transport.js'

/** The contract of each type of component. A new type of component is a line here. */
export interface ComponentTypes {
  auth: Auth
  broker: Broker
  client: Client
  codec: Codec
  config: Config
  handler: HandlerSet
  logger: Logger
  middleware: Middleware
  registry: Registry
  selector: Selector
  server: Server
  store: Store
  tracer: Tracer
  transport: Transport
}

export type ComponentType = keyof ComponentTypes

/** Types of which a service has one that the others may use. */
export type SharedType = Exclude<ComponentType, 'codec' | 'handler' | 'middleware'>

/** What a component finds around it. */
export interface ComponentContext {
  /** The service's name. */
  readonly service: string
  /** Labelled with the component's type and name already. */
  readonly log: Logger
  /** Aborts when the service stops waiting for the component to be made. */
  readonly signal: AbortSignal
  /**
   * The service's component of another type: a reference that stays right when that one is swapped.
   *
   * @param name Another than the service's own, e.g. the transport that a node's metadata names; it is
   *   made when it is first asked for and disposed with the service.
   * @throws `not-found` where nothing of that name is known, `unsupported` where two components would
   *   need each other.
   */
  use<K extends SharedType>(type: K, name?: string): ComponentTypes[K]
}

/**
 * Makes a component. It gives an open one, or throws having left nothing open. What it gives is
 * disposed by whoever called it; it must not register itself anywhere.
 *
 * @param options Those of the implementation. `addresses` is what the flag `--<type>_address` gives.
 */
export type NewFunc<T, O = never> = (options: O, context: ComponentContext) => T | Promise<T>

/** The value of the symbol `Plugin` of a plugin file: how to make one component. */
export interface PluginConfig<K extends ComponentType = ComponentType> {
  /** What a flag chooses it by, e.g. `nats` in `--broker=nats`. */
  readonly name: string
  readonly type: K
  /** A semantic version. */
  readonly version: string
  /** The package that the component comes from, where the plugin was generated for one. */
  readonly path?: string | undefined
  readonly newFunc: NewFunc<ComponentTypes[K]>
  /**
   * Whether a component that was just made is fit to take over from another: rejects where it is not.
   * It is asked before calls go to it. @default it is
   */
  check?(component: ComponentTypes[K], signal: AbortSignal): Promise<void>
}

/** Gives `config` back, typed: `export const Plugin = definePlugin({ … })`. */
export function definePlugin<K extends ComponentType, O = never>(
  config: Omit<PluginConfig<K>, 'newFunc'> & { readonly newFunc: NewFunc<ComponentTypes[K], O> },
): PluginConfig<K> {
  return config as unknown as PluginConfig<K>
}
