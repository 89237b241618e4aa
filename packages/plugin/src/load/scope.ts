import type { Leftover } from './leftover.js'
import { ScopedGlobal } from './scoped-global.js'
import { ScopedProcess } from './scoped-process.js'
import { ScopedTimers } from './scoped-timers.js'

/**
 * Stands between a plugin and the globals that would hold on to it after `close`: its timers, its
 * listeners on `process` and what it puts on `globalThis` are its own, known, and ended together.
 *
 * Hygiene, not a wall: a plugin that wants the real global can get it.
 */
export class Scope {
  readonly timers: ScopedTimers
  readonly process: ScopedProcess
  readonly #global: ScopedGlobal

  /** @param label Names the plugin in errors, e.g. `hello 1.0.0`. */
  constructor(label: string) {
    this.timers = new ScopedTimers(label)
    this.process = new ScopedProcess(label)
    this.#global = new ScopedGlobal({ ...this.timers.functions, process: this.process.object })
  }

  /** The names under which plugin code finds what is scoped, in the order of `values`. */
  static readonly names: readonly string[] = [
    'globalThis',
    'global',
    'process',
    'setTimeout',
    'setInterval',
    'setImmediate',
    'clearTimeout',
    'clearInterval',
    'clearImmediate',
  ]

  get values(): readonly unknown[] {
    const global = this.#global.object as Record<string, unknown>
    return Scope.names.map((name) => global[name])
  }

  /** Ends all that is left and says what that was. Timers made from here on are refused. */
  end(): readonly Leftover[] {
    return [...this.timers.end(), ...this.process.end()]
  }
}
