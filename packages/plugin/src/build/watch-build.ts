import { existsSync, statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { BuildFailure } from 'esbuild'
import { reason, PluginError } from '../errors.js'
import { filePath } from '../file-path.js'
import { build, type BuildOptions, type BuiltPlugin } from './build.js'
import { Packages } from './package-json.js'

/** How one build of a watched entry ended. */
export type BuildOutcome =
  | { readonly entry: string; readonly built: BuiltPlugin }
  | { readonly entry: string; readonly error: PluginError }

/** Builds again whenever a source file changes, until it is closed. */
export interface BuildWatcher extends AsyncDisposable {
  close(): Promise<void>
}

/** Changes that come together, as an editor makes them, are built once. */
const quietMs = 20

/**
 * Builds `entry` now and after each change of a file that went into it, dependencies in
 * `node_modules` left out, or of its package.json; one build at a time.
 *
 * @param onOutcome Told of each build, also the first; a build that fails changes no output.
 */
export async function watchBuild(
  entry: string | URL,
  options: BuildOptions | undefined,
  onOutcome: (outcome: BuildOutcome) => void,
): Promise<BuildWatcher> {
  const path = filePath(entry)
  const watcher = new SourceWatcher(path, options, onOutcome)
  await watcher.run()
  return watcher
}

class SourceWatcher implements BuildWatcher {
  readonly #entry: string
  readonly #options: BuildOptions | undefined
  readonly #onOutcome: (outcome: BuildOutcome) => void
  readonly #folders = new Map<string, FSWatcher>()
  /** What the plugin was made of; `undefined` after a failure, which any change may mend. */
  #inputs: ReadonlySet<string> | undefined
  readonly #changes = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(entry: string, options: BuildOptions | undefined, onOutcome: (outcome: BuildOutcome) => void) {
    this.#entry = entry
    this.#options = options
    this.#onOutcome = onOutcome
  }

  run(): Promise<void> {
    this.#again = true
    this.#running ??= this.#buildWhileChanged().finally(() => (this.#running = undefined))
    return this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const folder of this.#folders.keys()) this.#forget(folder)
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #buildWhileChanged(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      const outcome = await this.#build()
      if (!this.#closed) this.#onOutcome(outcome)
    }
  }

  async #build(): Promise<BuildOutcome> {
    const entry = this.#entry
    // File times are finer than this clock: what has that of the same millisecond was there before.
    const started = Date.now() + 1
    const { root, packageFile } = homeOf(entry)
    // Before the files are read, so that no change comes in between.
    this.#follow([entry, ...(this.#inputs ?? [])])
    try {
      const built = await build(entry, this.#options)
      const sources = built.inputs.map((input) => resolve(root, input)).filter(isOwn)
      this.#inputs = new Set([entry, packageFile, ...sources])
      const isNew = this.#follow(this.#inputs)
      if (isNew && sources.some((path) => changedSince(path, started))) this.#again = true
      return { entry, built }
    } catch (thrown) {
      const error =
        thrown instanceof PluginError
          ? thrown
          : new PluginError('build-failed', reason(thrown), { path: entry, cause: thrown })
      this.#inputs = undefined
      this.#follow([packageFile, ...placesOf(error, root)])
      return { entry, error }
    }
  }

  /**
   * Watches the folders of files, or of the nearest ones above that are there, and says whether one
   * is new. Folders, not files: editors replace a file by renaming another over it.
   */
  #follow(files: Iterable<string>): boolean {
    let isNew = false
    for (const file of files) {
      let folder = dirname(file)
      while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
      isNew = this.#watch(folder) || isNew
    }
    return isNew
  }

  #watch(folder: string): boolean {
    if (this.#closed || this.#folders.has(folder)) return false
    try {
      const watcher = watch(folder, (event, name) => {
        // The folder itself is gone; one of its name may come.
        if (event === 'rename' && name === basename(folder)) this.#forget(folder)
        this.#changed(name === null ? this.#entry : join(folder, name))
      })
      watcher.on('error', () => this.#forget(folder))
      this.#folders.set(folder, watcher)
      return true
    } catch {
      return false
    }
  }

  #forget(folder: string): void {
    this.#folders.get(folder)?.close()
    this.#folders.delete(folder)
  }

  #changed(path: string): void {
    this.#changes.add(path)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#runIfConcerned(), quietMs)
  }

  async #runIfConcerned(): Promise<void> {
    // What a build is made of, and what of this it wrote itself, is known when it has ended.
    await this.#running
    const inputs = this.#inputs
    const concerned = [...this.#changes].some((path) => inputs?.has(path) ?? true)
    this.#changes.clear()
    if (concerned) await this.run()
  }
}

function homeOf(entry: string): { readonly root: string; readonly packageFile: string } {
  const root = new Packages().nearest(dirname(entry))?.root ?? dirname(entry)
  return { root, packageFile: join(root, 'package.json') }
}

/** Dependencies change by being installed, which nobody does while watching. */
function isOwn(path: string): boolean {
  return !/[\\/]node_modules[\\/]/.test(path)
}

function changedSince(path: string, time: number): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= time
}

/** Where a change may mend a failed build: the files that it complains of, and those that it looked for. */
function* placesOf({ cause }: PluginError, root: string): Iterable<string> {
  for (const { text, location } of (cause as Partial<BuildFailure> | undefined)?.errors ?? []) {
    if (!location) continue
    const file = resolve(root, location.file)
    yield file
    const missing = /^Could not resolve "(\.[^"]*)"/.exec(text)?.[1]
    if (missing !== undefined) yield resolve(dirname(file), missing)
  }
}
