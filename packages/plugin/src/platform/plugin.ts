import { PluginError, reason, releaseFrames } from '../errors.js'
import type { Manifest } from '../format/manifest.js'
import type { PluginFile } from '../format/plugin-file.js'
import type { PluginModule } from '../load/evaluate.js'
import type { Leftover } from '../load/leftover.js'
import type { Scope } from '../load/scope.js'
import { collectGarbage } from './collect-garbage.js'
import { unknownSymbol } from './unknown-symbol.js'

/** What closing a plugin came to. */
export interface CloseReport {
  /** What the plugin had left behind, and what was ended. A plugin that tidies up after itself leaves nothing. */
  readonly leftovers: readonly Leftover[]
  /** `dispose-failed`, where the plugin's own `dispose` threw, rejected or took too long; it was closed all the same. */
  readonly failure: PluginError | undefined
}

/** An open plugin. Closing it closes it for everybody who opened the same content. */
export interface Plugin<T extends object = Record<string, unknown>> extends AsyncDisposable {
  readonly manifest: Manifest
  /** The absolute path of the file that it was opened from. */
  readonly path: string
  /** SHA-256 of its manifest text, which covers its code: the same content has the same id, whatever the path. */
  readonly id: string
  /** The id of the trusted key that signed the file, where the policy had that checked. */
  readonly signedBy: string | undefined
  /** The names that `lookup` knows, sorted. */
  readonly symbols: readonly string[]
  readonly closed: boolean
  /**
   * The value of an export. It stays what it is when a newer version is opened, and keeps the plugin
   * in memory for as long as it is held.
   * @throws `unknown-symbol`, naming the file and the symbols that there are; `closed`.
   */
  lookup<K extends keyof T & string>(symbol: K): T[K]
  /**
   * Takes the plugin out of its platform, so that calls go to the next version; runs its export
   * `dispose`, if it has one, and waits for it; ends what its scope still owns; forgets it. It does
   * not wait for calls that are under way. Closing twice is closing once.
   */
  close(): Promise<CloseReport>
  /**
   * Whether a closed plugin has left memory: its code, and all that its code can reach. It forces a
   * garbage collection, which stops the process for some milliseconds: a tool for tests and diagnosis.
   */
  collected(): Promise<boolean>
  /**
   * What keeps a closed plugin in memory: each entry is a path of names from something that V8
   * holds to a function of the plugin, the shortest first, such as
   * `Timeout → _onTimeout → tick()`. Empty where nothing does. It takes a heap snapshot, which
   * stops the process for a time that grows with the heap.
   */
  heldBy(): Promise<readonly string[]>
}

export interface OpenPluginParts {
  readonly file: PluginFile
  readonly signedBy: string | undefined
  readonly scope: Scope
  readonly module: PluginModule
  readonly disposeTimeoutMs: number
  /** Takes the plugin out of its platform. */
  readonly withdraw: () => void
  readonly finished: (report: CloseReport) => void
  /** Names what holds functions of the plugin's script. */
  readonly findHolders: () => Promise<readonly string[]>
  readonly release: () => void
}

type Live = Pick<OpenPluginParts, 'scope' | 'withdraw' | 'finished' | 'release' | 'disposeTimeoutMs'> & {
  readonly exports: Record<string, unknown>
}

export class OpenPlugin implements Plugin {
  readonly manifest: Manifest
  readonly path: string
  readonly id: string
  readonly signedBy: string | undefined
  readonly #findHolders: () => Promise<readonly string[]>
  readonly #traces: readonly WeakRef<object>[]
  #live: Live | undefined
  #closing: Promise<CloseReport> | undefined

  constructor({ file, signedBy, module, findHolders, ...rest }: OpenPluginParts) {
    this.manifest = file.manifest
    this.path = file.path
    this.id = file.id
    this.signedBy = signedBy
    this.#findHolders = findHolders
    const exports = exportsOf(module)
    // Every function of the plugin holds its module; what it exports may as well be the host's own.
    this.#traces = [module, rest.scope].map((each) => new WeakRef(each))
    this.#live = { ...rest, exports }
  }

  get symbols(): readonly string[] {
    return this.manifest.symbols
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** `hello 1.0.0`, for messages. */
  get label(): string {
    return `${this.manifest.name} ${this.manifest.version}`
  }

  /** @throws `closed` */
  get exports(): Readonly<Record<string, unknown>> {
    if (!this.#live || this.#closing)
      throw new PluginError('closed', `${this.label} (${this.path}) was closed; open it again`, {
        path: this.path,
      })
    return this.#live.exports
  }

  lookup<K extends string>(symbol: K): never {
    const { exports } = this
    if (!Object.hasOwn(exports, symbol))
      throw unknownSymbol(symbol, `${this.label} (${this.path})`, this.symbols, this.path)
    return exports[symbol] as never
  }

  close(): Promise<CloseReport> {
    if (!this.#closing) {
      // Set first: a listener that is told of the switch may close this too.
      let settle: (report: Promise<CloseReport>) => void = () => undefined
      this.#closing = new Promise((resolve) => (settle = resolve))
      settle(this.#close())
    }
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async collected(): Promise<boolean> {
    // Targets of a WeakRef are kept until the turn ends, so each look needs a turn of its own.
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      await collectGarbage()
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#traces.every((each) => each.deref() === undefined)) return true
    }
    return false
  }

  async heldBy(): Promise<readonly string[]> {
    // What `collected` just looked at would itself be found to hold the plugin.
    await new Promise((resolve) => setImmediate(resolve))
    return this.#findHolders()
  }

  async #close(): Promise<CloseReport> {
    const live = this.#live as Live
    live.withdraw()
    const failure = await this.#dispose(live)
    const report: CloseReport = { leftovers: live.scope.end(), failure }
    live.release()
    this.#live = undefined
    live.finished(report)
    return report
  }

  async #dispose({ exports, disposeTimeoutMs }: Live): Promise<PluginError | undefined> {
    let timer: NodeJS.Timeout | undefined
    try {
      // An export can be a getter, which throws as well as a function does.
      const dispose = Object.hasOwn(exports, 'dispose') ? exports['dispose'] : undefined
      if (typeof dispose !== 'function') return undefined
      const late = new Promise((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`it took longer than ${disposeTimeoutMs} ms`)),
          disposeTimeoutMs,
        )
      })
      await Promise.race([(dispose as () => unknown)(), late])
      return undefined
    } catch (cause) {
      releaseFrames(cause)
      return new PluginError(
        'dispose-failed',
        `dispose of ${this.label} (${this.path}) failed: ${reason(cause)}; the plugin was closed all the same`,
        { path: this.path, cause },
      )
    } finally {
      clearTimeout(timer)
    }
  }
}

function exportsOf({ exports }: PluginModule): Record<string, unknown> {
  return isReference(exports) ? (exports as Record<string, unknown>) : {}
}

function isReference(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
