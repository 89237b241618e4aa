import { PluginError } from '../errors.js'
import { isPluginName } from '../format/manifest.js'
import type { PluginFile } from '../format/plugin-file.js'
import type { CodeCacheEntry } from '../load/code-cache.js'
import {
  evaluate,
  moduleFailed,
  scriptUrl,
  surroundings,
  type EvaluateOptions,
  type PluginModule,
} from '../load/evaluate.js'
import { hostRequire } from '../load/host-require.js'
import { Scope } from '../load/scope.js'
import { mapStackTraces } from '../load/stack-traces.js'
import type { Registration } from '../register.js'
import type { Host } from './host.js'
import { OpenPlugin, type CloseReport } from './plugin.js'
import { requireVersion, type Registered, type Registry } from './registry.js'
import { retainersOf } from './retainers.js'

export interface LoadContext {
  readonly signedBy: string | undefined
  readonly host: Host
  readonly registry: Registry
  readonly compiled: CodeCacheEntry | undefined
  readonly disposeTimeoutMs: number
  readonly onOpened: (plugin: OpenPlugin) => void
  readonly onRegistered: (plugin: OpenPlugin, registered: Registered) => void
  readonly onClosed: (plugin: OpenPlugin, report: CloseReport) => void
}

/**
 * Runs a verified file and makes a plugin of it. Where module code fails nothing of it stays.
 * @throws `module-threw`, `module-rejected`, and what `register` throws.
 */
export async function load(file: PluginFile, context: LoadContext): Promise<OpenPlugin> {
  const { manifest, path } = file
  const scope = new Scope(`${manifest.name} ${manifest.version}`)
  const registrar = new Registrar(file, context)
  const module: PluginModule = { exports: {} }
  const require = hostRequire(
    manifest,
    context.host.modulesFor((each) => registrar.register(each)),
    scope,
  )
  const url = scriptUrl(file)
  const unmap = manifest.map ? mapStackTraces(url, `${path}.map`, manifest.map.sha256) : () => undefined
  try {
    await run(file, { require, scope, module, url }, context.compiled)
    registrar.finish(module)
    const plugin: OpenPlugin = new OpenPlugin({
      file,
      signedBy: context.signedBy,
      scope,
      module,
      disposeTimeoutMs: context.disposeTimeoutMs,
      withdraw: () => registrar.withdraw(),
      release: unmap,
      finished: (report) => context.onClosed(plugin, report),
      findHolders: () => retainersOf(url),
    })
    context.onOpened(plugin)
    registrar.commit(plugin)
    return plugin
  } catch (error) {
    registrar.withdraw()
    scope.end()
    unmap()
    // An export can be a getter, whose error comes where the exports are read.
    throw error instanceof PluginError ? error : moduleFailed('module-threw', file, 'threw', error)
  }
}

type Run = Pick<EvaluateOptions, 'require' | 'scope' | 'module' | 'url'>

async function run(file: PluginFile, options: Run, compiled: CodeCacheEntry | undefined): Promise<void> {
  const text = { id: file.id, size: file.bytes.length, surroundings }
  const cachedData = await compiled?.read(text)
  const produceCachedData = compiled !== undefined && cachedData === undefined
  const { produced, rejected } = await evaluate(file, { ...options, cachedData, produceCachedData })
  if (!compiled) return
  // Neither begun nor waited for before the plugin is open: what comes of it only shows the next time.
  setImmediate(() => {
    if (rejected) void compiled.drop()
    else if (produced) void compiled.write(text, produced)
    else void compiled.touch()
  })
}

/** Holds what module code registers until it has run, and passes on what comes later. */
class Registrar {
  readonly #staged: Registered[] = []
  readonly #owner = {}
  readonly #name: string
  readonly #version: string
  readonly #path: string
  readonly #label: string
  readonly #context: LoadContext
  #plugin: OpenPlugin | undefined
  #withdrawn = false

  constructor({ manifest: { name, version }, path }: PluginFile, context: LoadContext) {
    this.#name = name
    this.#version = version
    this.#path = path
    this.#label = `${name} ${version} (${path})`
    this.#context = context
  }

  register({ name = this.#name, version = this.#version, symbols }: Registration): void {
    if (this.#withdrawn)
      throw new PluginError('closed', `${this.#label} was closed and cannot register ${name}`)
    if (!isPluginName(name))
      throw new PluginError(
        'invalid-name',
        `${this.#label} registers under ${JSON.stringify(name)}, which cannot name a plugin; use letters, digits, ".", "_" and "-"`,
      )
    const registered: Registered = {
      name,
      version,
      parsed: requireVersion(version),
      symbols: Object.freeze({ ...symbols }),
      owner: this.#owner,
      label: this.#label,
      path: this.#path,
    }
    this.#context.registry.refuseTaken(registered)
    if (this.#plugin) this.#add(this.#plugin, registered)
    else this.#staged.push(registered)
  }

  /** Module code has run. What it registered must still be free: others ran meanwhile. */
  finish({ exports }: PluginModule): void {
    if (this.#staged.length === 0) this.register({ symbols: exports as Record<string, unknown> })
    for (const each of this.#staged) this.#context.registry.refuseTaken(each)
  }

  /** Makes what was registered count. */
  commit(plugin: OpenPlugin): void {
    if (!this.#withdrawn) this.#plugin = plugin
    for (const each of this.#staged.splice(0)) this.#add(plugin, each)
  }

  withdraw(): void {
    this.#withdrawn = true
    this.#plugin = undefined
    this.#context.registry.remove(this.#owner)
  }

  #add(plugin: OpenPlugin, registered: Registered): void {
    // A listener may close the plugin at any of these.
    if (!this.#withdrawn) this.#context.registry.add(registered)
    if (!this.#withdrawn) this.#context.onRegistered(plugin, registered)
  }
}
