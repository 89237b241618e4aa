import {
  ServiceError,
  type ComponentContext,
  type ComponentType,
  type ComponentTypes,
  type Logger,
  type PluginConfig,
} from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Plugins, PluginSource } from '../catalogue/plugins.js'
import { silentLogger } from '../logger/noop-logger.js'
import { requireComponent } from './contract-shapes.js'
import type { Candidate, ComponentOptions } from './generation.js'
import { within } from './within.js'

export interface MakerOptions {
  readonly service: () => string
  readonly catalogue: Catalogue
  readonly plugins: Plugins
  /** Longest wait for one component to be made, and for one to be disposed, in milliseconds. */
  readonly makeTimeoutMs: number
  readonly use: ComponentContext['use']
}

/** Makes components of one service by the `newFunc` of their plugins. */
export class Maker {
  readonly #options: MakerOptions

  constructor(options: MakerOptions) {
    this.#options = options
  }

  /** A way to a component: it can be made, and made again later although its plugin file was closed meanwhile. */
  candidate<K extends ComponentType>(
    type: K,
    config: PluginConfig,
    options: ComponentOptions,
  ): Candidate<ComponentTypes[K]> {
    const { plugins, catalogue, makeTimeoutMs } = this.#options
    const source = plugins.source(config)
    // Of a plugin whose file was closed nothing is held but where it is, so that it leaves memory.
    let current: PluginConfig | undefined = config
    const released = async () => {
      if (current && (await plugins.letGo(current))) current = undefined
    }
    return {
      name: config.name,
      label: `${config.name} ${config.version}`,
      options,
      closeMs: makeTimeoutMs,
      make: async (signal) => {
        current ??= await plugins.reopen(source as PluginSource)
        plugins.hold(current)
        try {
          return await this.#make(type, current, typeof options === 'function' ? options() : options, signal)
        } catch (error) {
          await released()
          throw error
        }
      },
      taken: () => current && catalogue.add(current),
      released,
    }
  }

  async #make<K extends ComponentType>(
    type: K,
    config: PluginConfig,
    options: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<ComponentTypes[K]> {
    const { service, makeTimeoutMs, use } = this.#options
    const { name, version, newFunc } = config
    const label = `${type} ${name} ${version}`
    const controller = new AbortController()
    const timer = setTimeout(
      () => controller.abort(new ServiceError('timeout', `${label} was not made within ${makeTimeoutMs} ms`)),
      makeTimeoutMs,
    )
    const giveUp = () => controller.abort(signal?.reason)
    let made: unknown
    try {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', giveUp, { once: true })
      const context: ComponentContext = {
        service: service(),
        log: this.#log(type, name),
        signal: controller.signal,
        use,
      }
      const making = (newFunc as (options: unknown, context: ComponentContext) => unknown)(options, context)
      made = await inTime(making, controller.signal)
      const component = requireComponent(type, made, label)
      await inTime(config.check?.(component as never, controller.signal), controller.signal)
      return component
    } catch (error) {
      await within(makeTimeoutMs, dispose(made), () => new Error('it is left')).catch(() => undefined)
      const { message = ServiceError.from(error).message } = (error ?? {}) as Partial<Error>
      const isKnown = error instanceof ServiceError
      if (isKnown && (error === controller.signal.reason || message.includes(label))) throw error
      throw new ServiceError(isKnown ? error.code : 'invalid-option', `cannot make ${label}: ${message}`, {
        id: isKnown ? error.id : undefined,
        cause: error,
      })
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
    }
  }

  #log(type: ComponentType, name: string): Logger {
    // The logger itself is made without one: what it has to say goes nowhere.
    if (type === 'logger') return silentLogger
    return this.#options.use('logger').child({ component: `${type} ${name}` })
  }
}

/** `made`, or the signal's reason where that comes first; a component that comes too late is disposed. */
function inTime(made: unknown, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const late = () => {
      reject(signal.reason as Error)
      Promise.resolve(made).then(dispose, () => undefined)
    }
    if (signal.aborted) return late()
    signal.addEventListener('abort', late, { once: true })
    const settled = () => signal.removeEventListener('abort', late)
    Promise.resolve(made).then(resolve, reject).finally(settled)
  })
}

async function dispose(component: unknown): Promise<void> {
  try {
    await (component as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.()
  } catch {
    // It is not used; why it was not is what is told.
  }
}
