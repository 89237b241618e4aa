import { watch, type FSWatcher } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { reason, PluginError } from '../errors.js'
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
 * Builds `entry` now and after each change of a file that went into it, one build at a time.
 *
 * @param onOutcome Told of each build, also the first; a build that fails changes no output.
 */
export async function watchBuild(
  entry: string,
  options: BuildOptions | undefined,
  onOutcome: (outcome: BuildOutcome) => void,
): Promise<BuildWatcher> {
  const watcher = new SourceWatcher(resolve(entry), options, onOutcome)
  await watcher.run()
  return watcher
}

class SourceWatcher implements BuildWatcher {
  readonly #entry: string
  readonly #options: BuildOptions | undefined
  readonly #onOutcome: (outcome: BuildOutcome) => void
  readonly #folders = new Map<string, FSWatcher>()
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
    for (const folder of this.#folders.values()) folder.close()
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #buildWhileChanged(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      this.#follow([dirname(this.#entry)])
      const entry = this.#entry
      try {
        const built = await build(entry, this.#options)
        const root = new Packages().nearest(dirname(entry))?.root ?? dirname(entry)
        this.#follow(
          built.inputs
            .map((input) => dirname(resolve(root, input)))
            .filter((folder) => !folder.includes('node_modules')),
        )
        this.#onOutcome({ entry, built })
      } catch (error) {
        this.#onOutcome({
          entry,
          error:
            error instanceof PluginError
              ? error
              : new PluginError('build-failed', reason(error), { cause: error }),
        })
      }
    }
  }

  /** Folders, not files: editors replace a file by renaming another over it. */
  #follow(folders: readonly string[]): void {
    for (const folder of folders) {
      if (this.#closed || this.#folders.has(folder)) continue
      try {
        this.#folders.set(
          folder,
          watch(folder, (_, name) => name?.endsWith('.tmp') || this.#changed()),
        )
      } catch {
        continue
      }
    }
  }

  #changed(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.run(), quietMs)
  }
}
