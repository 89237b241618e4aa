import { ServiceError, type ComponentType, type PluginConfig } from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import { hint } from '../catalogue/nearest.js'
import { requirePluginConfig } from '../catalogue/plugin-config.js'
import type { Plugins } from '../catalogue/plugins.js'
import type { Codecs } from '../codec/codecs.js'
import type { Components } from '../components/components.js'
import { componentTypes, isComponentType } from '../components/contract-shapes.js'
import type { ComponentOptions } from '../components/generation.js'
import type { Maker } from '../components/maker.js'
import type { Slot } from '../components/slot.js'
import {
  resolveSwapOptions,
  swapOptionNames,
  type SlotReport,
  type SwapOptions,
  type SwapReport,
} from '../components/swap-options.js'
import { stateOf, type HandlerSets } from '../handle/handler-sets.js'
import type { MiddlewareStack } from '../middleware/middleware-stack.js'

/** How a swap is to go, and what the new component is made with. */
export interface ServiceSwapOptions extends SwapOptions {
  /** Options of the new component. @default those of the one before where it has the same name, else none */
  readonly options?: object | undefined
  /** Which codec, middleware or handlers are replaced. @default those of the same name; handlers also where there are no others */
  readonly replace?: string | undefined
}

export interface SwapsParts {
  readonly catalogue: Catalogue
  readonly plugins: Plugins
  readonly maker: Maker
  readonly components: Components
  readonly codecs: Codecs
  readonly middleware: MiddlewareStack
  readonly handlers: HandlerSets
}

const known: ReadonlySet<string> = new Set([...swapOptionNames, 'options', 'replace'])

/** Finds the slot and the component that a swap is about, whatever their type. */
export class Swaps {
  readonly #parts: SwapsParts
  /** Options of handlers without their state, by what adds that. */
  readonly #own = new WeakMap<object, Readonly<Record<string, unknown>>>()

  constructor(parts: SwapsParts) {
    this.#parts = parts
  }

  /** See `Service.swap`. */
  async swap(
    type: ComponentType,
    target: string | PluginConfig,
    given: ServiceSwapOptions = {},
  ): Promise<SwapReport> {
    requireType(type)
    requireObject('the options of a swap', given)
    const unknown = Object.keys(given).find((name) => !known.has(name))
    if (unknown !== undefined)
      throw new ServiceError(
        'invalid-option',
        `a swap has no option ${JSON.stringify(unknown)}; there are ${[...known].join(', ')}`,
      )
    const { options, replace, ...swapOptions } = given
    if (options !== undefined) requireObject('options of a swap', options)
    if (replace !== undefined) requireText('replace of a swap', replace)
    resolveSwapOptions(swapOptions)
    const config = await this.#config(type, target)
    try {
      const slot = this.#slot(type, replace, config.name)
      const before = slot.current?.candidate
      const kept = before?.name === config.name ? before.options : {}
      const chosen = (options as Readonly<Record<string, unknown>> | undefined) ?? kept
      const state = type !== 'handler' ? chosen : this.#withState(slot as Slot<'handler'>, chosen)
      return await slot.swap(this.#parts.maker.candidate(type, config, state) as never, swapOptions)
    } catch (error) {
      await this.#parts.plugins.tidy(config)
      throw error
    }
  }

  /** See `Service.share`. */
  async share(type: ComponentType, share: number, name?: string): Promise<SwapReport> {
    requireType(type)
    return this.#slot(type, name, undefined).share(share)
  }

  /** See `Service.rollback`. */
  async rollback(type: ComponentType, name?: string, by?: string): Promise<SwapReport> {
    requireType(type)
    return this.#slot(type, name, undefined).rollback(by)
  }

  /** What is in every slot that is used. */
  report(): readonly SlotReport[] {
    const { components, codecs, middleware, handlers } = this.#parts
    return [...components.report(), ...handlers.report(), ...middleware.report(), ...codecs.report()]
  }

  /** Whether another version of this plugin sits in a slot, so that this one is wanted there. */
  wants(config: PluginConfig): boolean {
    return this.#holds(config) && !this.has(config)
  }

  /** Whether this version of the plugin sits in its slot. */
  has({ type, name, version }: PluginConfig): boolean {
    return this.report().some(
      ({ slot, current }) => slot === slotName(type, name) && current === `${name} ${version}`,
    )
  }

  #holds({ type, name }: PluginConfig): boolean {
    return this.report().some(
      ({ slot, current }) => slot === slotName(type, name) && current.startsWith(`${name} `),
    )
  }

  #withState(slot: Slot<'handler'>, options: ComponentOptions): () => Readonly<Record<string, unknown>> {
    const { state: _, ...own } = typeof options === 'function' ? (this.#own.get(options) ?? {}) : options
    const withState = () => ({
      ...own,
      ...(slot.current ? stateOf(slot.current.component, slot.current.label) : {}),
    })
    this.#own.set(withState, own)
    return withState
  }

  async #config(type: ComponentType, target: string | PluginConfig): Promise<PluginConfig> {
    const { plugins, catalogue } = this.#parts
    if (typeof target !== 'string') requireTarget(target)
    if (typeof target === 'string' && !isPath(target)) return catalogue.find(type, target)
    const config =
      typeof target === 'string' ? await plugins.load(target) : requirePluginConfig(target, 'the plugin')
    if (config.type === type) return config
    await plugins.tidy(config)
    throw new ServiceError(
      'invalid-option',
      `${config.name} ${config.version} is a ${config.type}; it cannot take the place of a ${type}`,
    )
  }

  #slot(type: ComponentType, replace: string | undefined, name: string | undefined): Slot<ComponentType> {
    const { components, codecs, middleware, handlers } = this.#parts
    const slot: unknown =
      type === 'handler'
        ? this.#handlers(handlers, replace, name)
        : type === 'codec'
          ? codecs.slot(requireName(type, replace ?? name))
          : type === 'middleware'
            ? middleware.slot(requireName(type, replace ?? name))
            : components.slot(type)
    return slot as Slot<ComponentType>
  }

  #handlers(handlers: HandlerSets, replace: string | undefined, name: string | undefined): Slot<'handler'> {
    if (replace !== undefined || name === undefined) return handlers.slot(replace)
    return handlers.has(name) ? handlers.slot(name) : handlers.slot()
  }
}

function slotName(type: ComponentType, name: string): string {
  return ['codec', 'middleware', 'handler'].includes(type) ? `${type} ${name}` : type
}

function requireType(type: unknown): void {
  if (!isComponentType(type))
    throw new ServiceError(
      'invalid-option',
      `there is no type of component ${JSON.stringify(type)}${hint(String(type), componentTypes)}`,
    )
}

function requireObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ServiceError('invalid-option', `${what} is ${JSON.stringify(value)}; it is an object`)
}

function requireTarget(target: unknown): void {
  if (typeof target !== 'object' || target === null)
    throw new ServiceError(
      'invalid-option',
      `the target of a swap is ${JSON.stringify(target)}; it is a name, a plugin file or a plugin`,
    )
}

function requireText(what: string, value: unknown): void {
  if (typeof value !== 'string')
    throw new ServiceError('invalid-option', `${what} is ${JSON.stringify(value)}; it is a text`)
}

function isPath(target: string): boolean {
  return /[/\\]|\.plugin\.cjs$/.test(target)
}

function requireName(type: ComponentType, name: string | undefined): string {
  if (name !== undefined) return name
  throw new ServiceError(
    'invalid-option',
    `a service may have several of type ${type}; say which by its name`,
  )
}
