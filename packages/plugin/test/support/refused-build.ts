import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PluginErrorCode } from '@micrograft/plugin'
import { PluginError } from '@micrograft/plugin'
import { build, type BuildOptions } from '@micrograft/plugin/build'

export interface Refusal {
  readonly code: PluginErrorCode
  /** What the message must say: where it is, and the way out. */
  readonly says: readonly (string | RegExp)[]
}

/** Builds, and holds that this is refused as told and leaves every file in `outDir` as it was. */
export async function refusesToBuild(
  entry: string | readonly string[],
  { code, says }: Refusal,
  options: BuildOptions & { readonly outDir: string },
): Promise<PluginError> {
  const before = await contents(options.outDir)
  const error = await build(entry as string, options).then(
    ({ path }) => assert.fail(`built ${path}`),
    (error: unknown) => error,
  )
  assert.ok(error instanceof PluginError, String(error))
  assert.equal(error.code, code, error.message)
  for (const each of says)
    if (typeof each === 'string') assert.ok(error.message.includes(each), error.message)
    else assert.match(error.message, each)
  assert.deepEqual(await contents(options.outDir), before)
  return error
}

/** Every file below a folder, with what it holds. */
async function contents(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  for (const { name, parentPath, path } of entries) {
    // `path` is what Node 20 has beside it, and later ones no more.
    const file = join(parentPath ?? path, name)
    files[file] = await readFile(file, 'latin1').catch(() => 'no file')
  }
  return files
}
