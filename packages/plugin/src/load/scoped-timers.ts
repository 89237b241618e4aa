import { promisify } from 'node:util'
import { PluginError } from '../errors.js'
import { calling, type Leftover } from './leftover.js'

/** The functions of `node:timers`. */
export type TimerFunctions = Pick<
  typeof globalThis,
  'setTimeout' | 'setInterval' | 'setImmediate' | 'clearTimeout' | 'clearInterval' | 'clearImmediate'
>

type Callback = (this: unknown, ...args: unknown[]) => void

interface Pending {
  readonly kind: 'timeout' | 'interval' | 'immediate'
  readonly callback: Callback
  readonly delayMs: number | undefined
}

/** A timer of Node's, with the one field that tells whether it was ended by itself, by its number or by `close()`. */
type Timer = (NodeJS.Timeout | NodeJS.Immediate) & { readonly _destroyed?: boolean }

/** Timers that are remembered until they have fired or were cleared. */
export class ScopedTimers {
  readonly functions: TimerFunctions
  readonly #pending = new Map<Timer, Pending>()
  readonly #label: string
  #sweepAt = 256
  #ended = false

  constructor(label: string) {
    this.#label = label
    this.functions = this.#makeFunctions()
  }

  end(): readonly Leftover[] {
    this.#ended = true
    const left: Leftover[] = []
    for (const [timer, { kind, callback, delayMs }] of this.#pending) {
      if (!timer._destroyed) {
        const when =
          kind === 'immediate' ? 'soon' : `${kind === 'interval' ? 'every' : 'after'} ${delayMs ?? 1} ms`
        left.push({ kind, what: when + calling(callback) })
      }
      if (kind === 'immediate') clearImmediate(timer as NodeJS.Immediate)
      else clearTimeout(timer as NodeJS.Timeout)
    }
    this.#pending.clear()
    return left
  }

  #remember<T extends Timer>(timer: T, pending: Pending): T {
    this.#pending.set(timer, pending)
    // Timers that were ended past the functions below would pile up.
    if (this.#pending.size > this.#sweepAt) {
      for (const each of this.#pending.keys()) if (each._destroyed) this.#pending.delete(each)
      this.#sweepAt = Math.max(256, this.#pending.size * 2)
    }
    return timer
  }

  #makeFunctions(): TimerFunctions {
    const pending = this.#pending
    const start = <T extends Timer>(how: Pending, make: () => T): T => {
      if (this.#ended)
        throw new PluginError(
          'closed',
          `${this.#label} was closed and cannot start a timer; end its work before closing it`,
        )
      return this.#remember(make(), how)
    }
    // A timeout that has fired can be started again.
    function refresh(this: Timer & { readonly how: Pending }): Timer {
      return start(this.how, () => Object.getPrototypeOf(this).refresh.call(this) as Timer)
    }

    const later = (callback: Callback, delayMs?: number, ...args: unknown[]): NodeJS.Timeout => {
      if (typeof callback !== 'function') return setTimeout(callback)
      const how: Pending = { kind: 'timeout', callback, delayMs }
      const fire = () => {
        pending.delete(timer)
        callback.apply(timer, args)
      }
      const timer = start(how, () => Object.assign(setTimeout(fire, delayMs), { how, refresh }))
      return timer
    }
    const every = (callback: Callback, delayMs?: number, ...args: unknown[]): NodeJS.Timeout =>
      start({ kind: 'interval', callback, delayMs }, () => setInterval(callback, delayMs, ...args))

    const soon = (callback: Callback, ...args: unknown[]): NodeJS.Immediate => {
      if (typeof callback !== 'function') return setImmediate(callback)
      const fire = () => {
        pending.delete(timer)
        callback.apply(timer, args)
      }
      const timer = start({ kind: 'immediate', callback, delayMs: undefined }, () => setImmediate(fire))
      return timer
    }
    const clear = (timer: NodeJS.Timeout | number | string | undefined): void => {
      if (typeof timer === 'object' && timer !== null) pending.delete(timer)
      clearTimeout(timer)
    }
    const clearSoon = (timer: NodeJS.Immediate | undefined): void => {
      if (timer) pending.delete(timer)
      clearImmediate(timer)
    }

    // What `util.promisify` and `node:timers/promises` use. At the end of the scope such a promise
    // stays open and is collected with whoever waits for it.
    const custom = {
      [promisify.custom]: (delayMs?: number, value?: unknown) =>
        new Promise((resolve) => later(() => resolve(value), delayMs)),
    }
    const customSoon = {
      [promisify.custom]: (value?: unknown) => new Promise((resolve) => soon(() => resolve(value))),
    }
    return {
      setTimeout: Object.assign(later, custom),
      setInterval: every,
      setImmediate: Object.assign(soon, customSoon),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clearSoon,
    } as unknown as TimerFunctions
  }
}
