import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { PluginError } from '../errors.js'
import { filePath } from '../file-path.js'
import { isPluginName } from '../format/manifest.js'
import { parsePluginFile, type PluginFile } from '../format/plugin-file.js'
import { checkSignature } from '../format/signature.js'
import { CodeCache, type CodeCacheEntry, type CodeCacheOptions } from '../load/code-cache.js'
import { checkCompatibility } from '../load/compatibility.js'
import { readPluginBytes } from '../load/read-file.js'
import { requireTime, resolveOptions, type Complete } from '../options.js'
import type { PlatformEvents } from './events.js'
import { createHandle, type Handle } from './handle.js'
import { Host, type HostOptions } from './host.js'
import { load } from './load.js'
import type { OpenPlugin, Plugin } from './plugin.js'
import { Registry } from './registry.js'
import { admission, type OpenOptions } from './trust.js'
import { watchDirectory, type Watcher, type WatchOptions } from './watch.js'

export interface PlatformOptions extends HostOptions, OpenOptions {
  /** Where V8's compiled form of plugin files is kept, so that the next process opens them faster. @default nowhere */
  readonly codeCache?: CodeCacheOptions | undefined
  /** How long `close` waits for a plugin's own `dispose`, in milliseconds. @default 5000 */
  readonly disposeTimeoutMs?: number | undefined
}

/**
 * Opens plugin files and prefers the newest version of each name. Two platforms share nothing: a
 * file that is opened on both runs once on each.
 */
export interface Platform extends AsyncDisposable {
  readonly events: EventEmitter<PlatformEvents>
  /** Every plugin that is open, in the order of opening. */
  readonly plugins: readonly Plugin[]
  /**
   * Verifies a file and runs its module code, once for the same content however often and however
   * concurrently it is opened, and from whatever path. Other content at a path that was opened
   * before is another plugin beside it.
   *
   * Nothing has run and nothing has changed where this rejects, but for module code that itself
   * failed. The codes are those of `docs/errors.md` from `not-found` to `module-rejected`.
   */
  open<T extends object = Record<string, unknown>>(
    path: string | URL,
    options?: OpenOptions,
  ): Promise<Plugin<T>>
  /** The handle of `name`, the same one each time. Nothing need be registered under it yet. @throws `invalid-name` */
  use<T extends object = Record<string, (...args: unknown[]) => unknown>>(name: string): Handle<T>
  /** The versions registered under `name`, the earliest registered first. */
  versions(name: string): readonly string[]
  /**
   * Sends calls to the highest version of `name` in `range`, also of those registered later, e.g.
   * `1.4.0` to go back or `^1` to stay below 2; without a range, to the highest again. By itself a
   * platform never prefers a pre-release to a release; a range that names it does. When the last
   * version in the range is closed, calls go to the highest of the others.
   * @throws `no-such-plugin`, `no-such-version` or `invalid-range`; nothing has changed then.
   */
  prefer(name: string, range?: string): void
  /**
   * Opens every `*.plugin.cjs` in a directory, those that are there and those that come, each once
   * it is complete. A file that is refused is told by the event `refused`. A file that goes changes
   * nothing.
   */
  watch(directory: string, options?: WatchOptions): Promise<Watcher>
  /** Stops watching and closes every plugin, the last opened first. */
  close(): Promise<void>
}

/** @throws `invalid-option`, `malformed-key` */
export function createPlatform(options: PlatformOptions = {}): Platform {
  return new OpeningPlatform(options)
}

const defaults = {
  host: undefined,
  types: undefined,
  builtins: undefined,
  trust: undefined,
  maxBytes: undefined,
  codeCache: undefined,
  disposeTimeoutMs: 5000,
}

class OpeningPlatform implements Platform {
  readonly events = new EventEmitter<PlatformEvents>()
  readonly #options: Complete<PlatformOptions, typeof defaults>
  readonly #host: Host
  readonly #cache: CodeCache | undefined
  readonly #registry: Registry
  readonly #handles = new Map<string, Handle<object>>()
  /** By content; also those that are still being opened. */
  readonly #opening = new Map<string, { readonly file: PluginFile; readonly plugin: Promise<OpenPlugin> }>()
  readonly #open = new Map<string, OpenPlugin>()
  readonly #watchers = new Set<Watcher>()
  #closing: Promise<void> | undefined

  constructor(options: PlatformOptions) {
    this.#options = resolveOptions('the options of a platform', defaults, options)
    requireTime('disposeTimeoutMs', this.#options.disposeTimeoutMs, 0)
    admission(this.#options)
    this.#host = new Host(this.#options)
    this.#cache = this.#options.codeCache && new CodeCache(this.#options.codeCache)
    this.#registry = new Registry((change) => this.#tell('switched', change))
  }

  get plugins(): readonly Plugin[] {
    return [...this.#open.values()]
  }

  async open<T extends object>(path: string | URL, options?: OpenOptions): Promise<Plugin<T>> {
    this.#refuseWhenClosed()
    const { limits, keys, policy } = admission(this.#options, options)
    const absolute = filePath(path)
    const reading = readPluginBytes(absolute, limits)
    // Read beside the file; it is looked at once the file is verified.
    const compiled = this.#cache?.at(absolute)
    const file = parsePluginFile(await reading, absolute)
    const signedBy = checkSignature(file, keys, policy, absolute)
    checkCompatibility(file.manifest, this.#host.surface, absolute)
    return (await this.#once(file, signedBy, compiled)) as unknown as Plugin<T>
  }

  use<T extends object>(name: string): Handle<T> {
    if (!isPluginName(name))
      throw new PluginError(
        'invalid-name',
        `${JSON.stringify(name)} cannot name a plugin; use letters, digits, ".", "_" and "-"`,
      )
    let handle = this.#handles.get(name)
    if (!handle) this.#handles.set(name, (handle = createHandle(this.#registry.entry(name))))
    return handle as Handle<T>
  }

  versions(name: string): readonly string[] {
    return this.#registry.versions(name)
  }

  prefer(name: string, range?: string): void {
    this.#registry.prefer(name, range)
  }

  async watch(directory: string, options?: WatchOptions): Promise<Watcher> {
    this.#refuseWhenClosed()
    const watcher = await watchDirectory(resolve(directory), options, {
      open: (path) => this.open(path),
      // What is refused because the platform closes says nothing of the file.
      refused: (path, error) => void (this.#closing || this.#tell('refused', { path, error })),
      stopped: () => this.#watchers.delete(watcher),
    })
    this.#watchers.add(watcher)
    if (this.#closing) await watcher.close()
    this.#refuseWhenClosed()
    return watcher
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) await watcher.close()
    await Promise.allSettled([...this.#opening.values()].map(({ plugin }) => plugin))
    for (const plugin of [...this.#open.values()].reverse()) await plugin.close()
  }

  #refuseWhenClosed(): void {
    if (this.#closing) throw new PluginError('closed', 'the platform was closed; make another')
  }

  /** The plugin of this content: the one that is open, the one that is being opened, or a new one. */
  async #once(
    file: PluginFile,
    signedBy: string | undefined,
    compiled: CodeCacheEntry | undefined,
  ): Promise<OpenPlugin> {
    const open = this.#open.get(file.id)
    if (open && !open.closed) return open
    await open?.close()
    const opening = this.#opening.get(file.id)
    if (opening) return opening.plugin

    this.#refuseWhenClosed()
    this.#refuseTaken(file)
    const plugin = this.#load(file, signedBy, compiled).finally(() => this.#opening.delete(file.id))
    this.#opening.set(file.id, { file, plugin })
    return plugin
  }

  #load(
    file: PluginFile,
    signedBy: string | undefined,
    compiled: CodeCacheEntry | undefined,
  ): Promise<OpenPlugin> {
    return load(file, {
      signedBy,
      host: this.#host,
      registry: this.#registry,
      compiled,
      disposeTimeoutMs: this.#options.disposeTimeoutMs,
      onOpened: (plugin) => {
        this.#open.set(plugin.id, plugin)
        this.#tell('opened', { plugin })
      },
      onRegistered: (plugin, { name, version }) => this.#tell('registered', { name, version, plugin }),
      onClosed: (plugin, report) => {
        this.#open.delete(plugin.id)
        this.#tell('closed', { plugin, report })
      },
    })
  }

  /** A listener that throws is its host's bug: it surfaces as uncaught, and the platform goes on. */
  #tell<E extends keyof PlatformEvents>(event: E, ...args: PlatformEvents[E]): void {
    try {
      this.events.emit(event, ...(args as never))
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }

  #refuseTaken({ id, manifest, path }: PluginFile): void {
    const others = [...this.#open.values(), ...[...this.#opening.values()].map(({ file }) => file)]
    const taken = others.find(
      (other) =>
        other.id !== id &&
        other.manifest.name === manifest.name &&
        other.manifest.version === manifest.version,
    )
    if (!taken) return
    const message = `${manifest.name} ${manifest.version} (${path}) is not the ${manifest.name} ${manifest.version} that is open from ${taken.path}: give the new content another version, or close the open one first`
    throw new PluginError('version-taken', message, { path })
  }
}
