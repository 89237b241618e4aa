import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { BuildOptions as EsbuildOptions, Loader, Metafile, OutputFile } from 'esbuild'
import { isBuiltinModule } from '../builtin-module.js'
import { PluginError } from '../errors.js'
import { headerLines } from '../format/header.js'
import { sourceMapDigest, type SourceMapText } from '../format/source-map.js'
import { readMap, withLines } from './chunk.js'
import { portable } from './dependency-names.js'
import { toPluginError } from './esbuild-failure.js'
import { exportNames, refuseUnknownExports } from './export-names.js'
import { hostPackages, hostRanges, isHostPackage, refuseBundledHostPackages } from './host-packages.js'
import { declareUrl, importMeta, urlModule } from './import-meta.js'
import { minified } from './minify.js'
import { nativeAddons } from './native-addons.js'
import { packageOf, Packages } from './package-json.js'
import { modeLine, withoutPrologue } from './prologue.js'
import { quickCode } from './quick-code.js'

export interface BundleOptions {
  readonly external: readonly string[]
  readonly minify: boolean
  readonly sourceMap: boolean
}

/** Everything of a plugin file that comes from its source. */
export interface Bundle {
  readonly code: Buffer
  readonly sha256: string
  readonly map: { readonly text: SourceMapText; readonly sha256: string } | undefined
  readonly symbols: readonly string[]
  readonly imports: readonly string[]
  readonly host: Readonly<Record<string, string>>
  /** What `sources` of the map are relative to. */
  readonly root: string
  /** Files that went into it, relative to `root`. */
  readonly inputs: readonly string[]
}

/** Files that are imported as what they hold; the rest is esbuild's own table. */
const loaders: Record<string, Loader> = {
  '.txt': 'text',
  '.css': 'text',
  '.md': 'text',
  '.html': 'text',
  '.sql': 'text',
  '.graphql': 'text',
  '.proto': 'text',
  '.wasm': 'binary',
  '.bin': 'binary',
}

/** What esbuild knows the output by; nothing is written under it. */
const outputName = 'plugin.cjs'

/** The oldest Node that output runs on. */
const target = 'node20.19'

/**
 * Bundles `entry` into one CommonJS text.
 *
 * @throws `syntax-error`, `unresolved-import`, `top-level-await`, `native-addon`,
 *   `host-package-bundled`, `commonjs-entry`, `esbuild-missing` or `build-failed`.
 */
export async function bundle(entry: string, { external, minify, sourceMap }: BundleOptions): Promise<Bundle> {
  const esbuild = await loadEsbuild()
  const packages = new Packages()
  const own = packages.nearest(dirname(entry))
  // Paths in the output are relative to this, so the same package gives the same bytes wherever it lies.
  const root = own?.root ?? dirname(entry)
  const common: EsbuildOptions = {
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target,
    loader: loaders,
    logLevel: 'silent',
    outfile: `${root}/${outputName}`,
  }
  const plugins = [hostPackages(external), nativeAddons(packages)]
  const naming = exportNames(esbuild, common, plugins)
  // What it fails of is told by the bundle too, and better.
  naming.catch(() => undefined)
  try {
    const output = await esbuild.build({
      ...common,
      plugins,
      define: importMeta,
      format: 'cjs',
      // `import()` becomes a call of the host's require: everything that a plugin imports passes there.
      supported: { 'dynamic-import': false },
      sourcemap: sourceMap && 'external',
    })
    const metafile = output.metafile as Metafile
    refuseBundledHostPackages(metafile, root, entry, own, external, packages)
    const text = textOf(output.outputFiles, outputName) ?? ''
    refuseUnknownExports(metafile, text, entry)
    const url = declareUrl(text)
    const mapText = textOf(output.outputFiles, `${outputName}.map`)
    const named = portable(
      withoutPrologue({ code: text, map: mapText === undefined ? undefined : readMap(mapText) }),
      metafile,
    )
    const quick = { ...named, code: await quickCode(named.code, esbuild.transform) }
    const body = minify ? await minified(quick, esbuild) : quick
    const finished = withLines(body, [modeLine(metafile, root) + (url ?? '')])
    const code = Buffer.from(finished.code)
    const imports = importsOf(metafile, external, url === undefined ? [] : [urlModule])
    return {
      code,
      sha256: createHash('sha256').update(code).digest('hex'),
      map: finished.map && withDigest(finished.map),
      symbols: await naming,
      imports,
      host: hostRanges(imports, entry, own, external),
      root,
      inputs: inputsOf(metafile),
    }
  } catch (error) {
    throw toPluginError(error, entry)
  }
}

async function loadEsbuild() {
  try {
    return await import('esbuild')
  } catch (cause) {
    throw new PluginError(
      'esbuild-missing',
      'building plugin files needs esbuild, which is not installed: npm install --save-dev esbuild',
      { cause },
    )
  }
}

function textOf(files: readonly OutputFile[] = [], name: string): string | undefined {
  return files.find(({ path }) => path.endsWith(name))?.text
}

/** Modules that the code asks its host for. A `require` of something optional that is not there is left in the code, and is none. */
function importsOf({ outputs }: Metafile, external: readonly string[], more: readonly string[]): string[] {
  const left = (outputs[outputName]?.imports ?? []).filter((each) => each.external).map(({ path }) => path)
  const wanted = left.filter((path) => isBuiltinModule(path) || isHostPackage(packageOf(path), external))
  const named = wanted.map((path) =>
    isBuiltinModule(path) && !path.startsWith('node:') ? `node:${path}` : path,
  )
  return [...new Set([...named, ...more])].sort()
}

/** Files, without what is made up and without the attributes that a file was imported with. */
function inputsOf({ inputs }: Metafile): string[] {
  const files = Object.keys(inputs)
    .filter((path) => !/^[a-z-]+:/.test(path))
    .map((path) => path.replace(/ with \{.*\}$/, ''))
  return [...new Set(files)]
}

function withDigest(map: SourceMapText): NonNullable<Bundle['map']> {
  const text = { ...map, mappings: ';'.repeat(headerLines) + map.mappings }
  return { text, sha256: sourceMapDigest(text) }
}
