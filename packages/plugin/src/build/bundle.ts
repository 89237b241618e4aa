import { createHash } from 'node:crypto'
import { isBuiltin } from 'node:module'
import { basename, dirname } from 'node:path'
import type { BuildOptions as EsbuildOptions, Loader, Metafile } from 'esbuild'
import { PluginError } from '../errors.js'
import { headerLines } from '../format/header.js'
import { sourceMapDigest, type SourceMapText } from '../format/source-map.js'
import { toPluginError } from './esbuild-failure.js'
import { hostPackages, hostRanges, isHostPackage, refuseBundledHostPackages } from './host-packages.js'
import { importMeta, importMetaModule } from './import-meta.js'
import { nativeAddons } from './native-addons.js'
import { packageOf, Packages } from './package-json.js'

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
  '.md': 'text',
  '.html': 'text',
  '.sql': 'text',
  '.graphql': 'text',
  '.proto': 'text',
  '.wasm': 'binary',
  '.bin': 'binary',
}

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
    outfile: `${root}/plugin.cjs`,
    plugins: [hostPackages(external), importMetaModule(), nativeAddons(packages)],
    ...importMeta,
  }
  try {
    const [output, module] = await Promise.all([
      esbuild.build({
        ...common,
        format: 'cjs',
        // `import()` becomes a call of the host's require: everything that a plugin imports passes there.
        supported: { 'dynamic-import': false },
        minify,
        keepNames: minify,
        // A single line of a whole bundle is more than editors and debuggers take.
        ...(minify ? { lineLimit: 500 } : {}),
        sourcemap: sourceMap && 'external',
      }),
      // Only as an ES module does esbuild say what the exports are.
      esbuild.build({
        ...common,
        format: 'esm',
        treeShaking: true,
        logOverride: { 'unsupported-require-call': 'silent' },
      }),
    ])
    const metafile = output.metafile as Metafile
    refuseBundledHostPackages(metafile, root, entry, own, external, packages)
    const code = Buffer.from(output.outputFiles?.find(({ path }) => !path.endsWith('.map'))?.contents ?? [])
    const mapText = output.outputFiles?.find(({ path }) => path.endsWith('.map'))?.text
    const imports = importsOf(metafile, external)
    return {
      code,
      sha256: createHash('sha256').update(code).digest('hex'),
      map: mapText === undefined ? undefined : withDigest(mapText),
      symbols: symbolsOf(module.metafile as Metafile, entry),
      imports,
      host: hostRanges(imports, entry, own, external),
      root,
      inputs: Object.keys(metafile.inputs).filter((path) => !/^[a-z-]+:/.test(path)),
    }
  } catch (error) {
    throw toPluginError(error, entry)
  }
}

async function loadEsbuild(): Promise<typeof import('esbuild')> {
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

/** Modules that the code asks its host for. A `require` of something optional that is not there is left in the code, and is none. */
function importsOf(metafile: Metafile, external: readonly string[]): string[] {
  const [output] = Object.entries(metafile.outputs)
    .filter(([path]) => !path.endsWith('.map'))
    .map(([, each]) => each)
  const left = (output?.imports ?? []).filter((each) => each.external).map(({ path }) => path)
  const wanted = left.filter((path) => isBuiltin(path) || isHostPackage(packageOf(path), external))
  return [
    ...new Set(wanted.map((path) => (isBuiltin(path) && !path.startsWith('node:') ? `node:${path}` : path))),
  ].sort()
}

function symbolsOf(metafile: Metafile, entry: string): string[] {
  const source = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint !== undefined)
  const input = metafile.inputs[source?.entryPoint ?? '']
  if (input?.format === 'cjs') {
    throw new PluginError(
      'commonjs-entry',
      `${entry} is a CommonJS module, and its symbols cannot be known without running it; use \`export\`, or make ${basename(entry)} the import of an entry that exports its symbols by name`,
      { path: entry },
    )
  }
  return [...(source?.exports ?? [])].sort()
}

function withDigest(text: string): NonNullable<Bundle['map']> {
  const { sources, sourcesContent, names, mappings } = JSON.parse(text) as SourceMapText
  const map: SourceMapText = {
    version: 3,
    sourceRoot: '',
    sources,
    ...(sourcesContent ? { sourcesContent } : {}),
    names,
    mappings: ';'.repeat(headerLines) + mappings,
  }
  return { text: map, sha256: sourceMapDigest(map) }
}
