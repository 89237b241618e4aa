import { basename } from 'node:path'
import type * as Esbuild from 'esbuild'
import { PluginError } from '../errors.js'

/**
 * The names of an entry's exports, sorted. Only of an ES module does esbuild tell them, so this is a
 * build of its own; it leaves packages out, unless the entry exports all of one.
 */
export async function exportNames(
  esbuild: typeof Esbuild,
  common: Esbuild.BuildOptions,
  plugins: Esbuild.Plugin[],
): Promise<string[]> {
  const options: Esbuild.BuildOptions = {
    ...common,
    format: 'esm',
    logOverride: { 'unsupported-require-call': 'silent' },
  }
  const own = await esbuild.build({ ...options, packages: 'external' })
  const exportsAll = /^(?:export \* from |__reExport\()/m.test(own.outputFiles?.[0]?.text ?? '')
  const { metafile } = exportsAll ? await esbuild.build({ ...options, plugins }) : own
  return [...(entryOf(metafile as Esbuild.Metafile)?.exports ?? [])].sort()
}

/**
 * Refuses an entry with exports that nobody knows before it has run.
 * @param code The entry bundled as CommonJS.
 * @throws `commonjs-entry`
 */
export function refuseUnknownExports(metafile: Esbuild.Metafile, code: string, entry: string): void {
  if (metafile.inputs[entryOf(metafile)?.entryPoint ?? '']?.format === 'cjs') {
    throw new PluginError(
      'commonjs-entry',
      `${entry} is a CommonJS module, and its symbols cannot be known without running it; use \`export\`, or make ${basename(entry)} the import of an entry that exports its symbols by name`,
      { path: entry },
    )
  }
  // The one call that esbuild makes of `export *` from what is no ES module in the bundle.
  if (/^__reExport\(\w+, .*, module\.exports\);$/m.test(code)) {
    throw new PluginError(
      'commonjs-entry',
      `${entry} exports all of a CommonJS module or of a host package, whose symbols cannot be known without running it; name them, as in \`export { a, b } from\``,
      { path: entry },
    )
  }
}

function entryOf({ outputs }: Esbuild.Metafile): Esbuild.Metafile['outputs'][string] | undefined {
  return Object.values(outputs).find(({ entryPoint }) => entryPoint !== undefined)
}
