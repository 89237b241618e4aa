import { PluginError } from '@micrograft/plugin'
import type { BuiltPlugin } from '@micrograft/plugin/build'
import { refusalOf } from './failure.js'
import { namingKeyFiles } from './key-file.js'
import { printError, printResult, shownPath, shownSize, strong } from './output.js'

export interface BuildReportFlags {
  readonly json?: boolean
  readonly sign?: string
}

/** Prints how each build ended, and remembers what the exit status depends on. */
export class BuildReport {
  anyRefused = false
  readonly #json: boolean
  readonly #sign: string | undefined
  readonly #entries = new Map<string, string>()

  constructor({ json = false, sign }: BuildReportFlags) {
    this.#json = json
    this.#sign = sign
  }

  /** @param ms How long it took, where that was measured. */
  built(entry: string, { path, mapPath, manifest, id, bytes }: BuiltPlugin, ms?: number): void {
    const other = this.#entries.get(path) ?? entry
    if (other !== entry) {
      const message = `${other} and ${entry} are both built to ${path}, which now has the second; give them names or versions that differ`
      this.refused(new PluginError('invalid-option', message, { path }))
      return
    }
    this.#entries.set(path, entry)
    const { name, version, type = null } = manifest
    const signed = this.#sign !== undefined
    const took = ms === undefined ? [] : [`${Math.round(ms)} ms`]
    printResult(
      [strong(shownPath(path)), `${name} ${version}`, shownSize(bytes), ...took].join('  '),
      {
        path,
        mapPath: mapPath ?? null,
        name,
        version,
        type,
        id,
        bytes,
        signed,
        ms: ms === undefined ? null : Number(ms.toFixed(1)),
      },
      this.#json,
    )
  }

  refused(error: unknown): void {
    this.anyRefused = true
    const named = namingKeyFiles(error, this.#sign === undefined ? [] : [this.#sign])
    printError(refusalOf(named), this.#json)
  }
}
