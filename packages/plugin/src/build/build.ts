import { realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path'
import { PluginError } from '../errors.js'
import { filePath } from '../file-path.js'
import { formatFirstLine } from '../format/header.js'
import { isPluginName, isTypeName, parseManifest, formatManifest, type Manifest } from '../format/manifest.js'
import { formatSignature } from '../format/signature.js'
import { resolveOptions } from '../options.js'
import { parseRange } from '../version/range.js'
import { parseVersion } from '../version/semver.js'
import { pluginSuffix } from '../plugin-suffix.js'
import { bundle, type Bundle } from './bundle.js'
import { Packages, packageOf } from './package-json.js'
import { writeOutputs } from './write-output.js'

export interface BuildOptions {
  /** The file to write. @default `<name>-<version>.plugin.cjs` in `outDir` */
  readonly outFile?: string | undefined
  /** The folder to write to. @default the working directory */
  readonly outDir?: string | undefined
  /** @default the entry's file name; the package's name for an entry called `index`, `main` or `plugin` */
  readonly name?: string | undefined
  /** A semantic version. @default the version in the nearest package.json, else `0.0.0` */
  readonly version?: string | undefined
  /** What the plugin is for, where its host tells types apart, e.g. `client`. @default none */
  readonly type?: string | undefined
  /** Packages that the host brings, beside `micrograft`, `@micrograft/contracts` and `@micrograft/plugin`. @default none */
  readonly external?: readonly string[] | undefined
  /** The range of Node versions that the plugin runs on. @default `>=20.19` */
  readonly node?: string | undefined
  /** Takes comments and spaces out of the code; names stay. @default false */
  readonly minify?: boolean | undefined
  /** Writes a source map beside the file. @default true */
  readonly sourceMap?: boolean | undefined
  /** A private ed25519 key in PEM form to sign with. @default the file is not signed */
  readonly signKey?: string | undefined
}

/** What was written. */
export interface BuiltPlugin {
  /** The plugin file. */
  readonly path: string
  readonly mapPath: string | undefined
  readonly manifest: Manifest
  /** SHA-256 of the manifest text. */
  readonly id: string
  /** Size of the plugin file, in bytes. */
  readonly bytes: number
  /** Source files that went into it, relative to the plugin's package; a change of one of them wants a new build. */
  readonly inputs: readonly string[]
}

const defaults = {
  outFile: undefined,
  outDir: '.',
  name: undefined,
  version: undefined,
  type: undefined,
  external: [],
  node: '>=20.19',
  minify: false,
  sourceMap: true,
  signKey: undefined,
} as const

/**
 * Builds a plugin file from a TypeScript or JavaScript module: one file with all that it imports but
 * Node's modules and the host's packages. The same source gives the same bytes, at any time and
 * wherever it and the output lie. Output is written to another name and renamed, the map first, so
 * a host that watches sees whole files only.
 *
 * @param entry The source file, or several; options that name one output go with one entry.
 * @throws `entry-not-found`, `invalid-name`, `invalid-version`, `invalid-range`, `invalid-option`,
 *   `malformed-key`, `write-failed`, and what bundling refuses: `syntax-error`, `unresolved-import`,
 *   `top-level-await`, `native-addon`, `host-package-bundled`, `commonjs-entry`, `esbuild-missing`,
 *   `build-failed`.
 */
export function build(entry: string | URL, options?: BuildOptions): Promise<BuiltPlugin>
export function build(entries: readonly (string | URL)[], options?: BuildOptions): Promise<BuiltPlugin[]>
export async function build(
  entries: string | URL | readonly (string | URL)[],
  options?: BuildOptions,
): Promise<BuiltPlugin | BuiltPlugin[]> {
  if (typeof entries === 'string' || entries instanceof URL) return write(await make(entries, options))
  if (entries.length > 1) refuseForSeveral(options)
  const made = await Promise.all(entries.map((entry) => make(entry, options)))
  refuseSamePath(made)
  return Promise.all(made.map(write))
}

function refuseForSeveral({ outFile, name }: BuildOptions = {}): void {
  const given = outFile !== undefined ? 'outFile' : name !== undefined ? 'name' : undefined
  if (given)
    throw new PluginError(
      'invalid-option',
      `${given} is for one entry and there are several; use outDir, or build them one by one`,
    )
}

function refuseSamePath(all: readonly Made[]): void {
  for (const { entry, path } of all) {
    const other = all.find((each) => each.path === path && each.entry !== entry)
    if (other)
      throw new PluginError(
        'invalid-option',
        `${entry} and ${other.entry} would both be written to ${path}; build them one by one, under names of their own`,
        { path },
      )
  }
}

/** A plugin file that is not written yet. */
interface Made {
  readonly entry: string
  readonly path: string
  readonly file: Buffer
  readonly id: string
  readonly manifest: Manifest
  readonly bundle: Bundle
}

async function make(source: string | URL, given: BuildOptions | undefined): Promise<Made> {
  const options = resolveOptions<BuildOptions, { [K in keyof typeof defaults]: BuildOptions[K] }>(
    'the build options',
    defaults,
    given,
  )
  const { external = [], minify = false, sourceMap = true } = options
  refuseNoPackages(external)
  const entry = await findEntry(source)
  const identity = identify(entry, options)
  const made = await bundle(entry, { external, minify, sourceMap })
  const manifest = describe(made, identity, entry)
  const path = resolve(
    options.outFile ??
      join(options.outDir ?? '.', `${fileName(manifest.name)}-${manifest.version}${pluginSuffix}`),
  )
  if (made.inputs.some((input) => resolve(made.root, input) === path))
    throw new PluginError('invalid-option', `${path} is a source of the plugin; write to another file`, {
      path,
    })
  const firstLine = formatFirstLine(manifest)
  const signature =
    options.signKey === undefined ? '' : formatSignature(Buffer.from(firstLine), options.signKey)
  const file = Buffer.concat([Buffer.from(`${firstLine}\n${signature}\n`), made.code])
  return { entry, path, file, id: firstLine.split(' ', 3)[2] as string, manifest, bundle: made }
}

async function write({
  path,
  file,
  id,
  manifest,
  bundle: { map, root, inputs },
}: Made): Promise<BuiltPlugin> {
  const mapPath = `${path}.map`
  if (map) {
    const text = JSON.stringify({ ...map.text, sourceRoot: urlOfFolder(relative(dirname(path), root)) })
    await writeOutputs([
      { path: mapPath, content: text },
      { path, content: file },
    ])
  } else {
    await writeOutputs([{ path, content: file }])
    // One that is left of an earlier build would show a debugger lines of another source.
    await rm(mapPath, { force: true })
  }
  return { path, mapPath: map && mapPath, manifest, id, bytes: file.length, inputs }
}

/** A relative path as a URL, which is what a source map has. */
function urlOfFolder(path: string): string {
  return path
    .split(sep)
    .map((name) => (name === '' ? '' : `${encodeURIComponent(name)}/`))
    .join('')
}

function refuseNoPackages(external: readonly string[]): void {
  const wrong = external.find((name) => packageOf(name) !== name || name.includes(':'))
  if (wrong !== undefined)
    throw new PluginError(
      'invalid-option',
      `external has ${JSON.stringify(wrong)}, which is not the name of a package; name packages, as in @acme/sdk, and all their modules are meant`,
    )
}

async function findEntry(source: string | URL): Promise<string> {
  const path = filePath(source)
  try {
    if ((await stat(path)).isFile()) return await realpath(path)
  } catch (cause) {
    throw new PluginError('entry-not-found', `there is no source file ${path}; correct the path`, {
      path,
      cause,
    })
  }
  throw new PluginError(
    'entry-not-found',
    `${path} is not a file; name the module that exports the symbols`,
    { path },
  )
}

type Identity = Pick<Manifest, 'name' | 'version' | 'type' | 'node'>

function identify(
  entry: string,
  { name: givenName, version: givenVersion, type, node = defaults.node }: BuildOptions,
): Identity {
  const own = new Packages().nearest(dirname(entry))?.json
  const stem = basename(entry, extname(entry))
  const generic = ['index', 'main', 'plugin'].includes(stem)
  const name = givenName ?? ((generic && own?.name?.replace(/^@[^/]+\//, '')) || stem)
  const version = givenVersion ?? own?.version ?? '0.0.0'
  if (!isPluginName(name))
    throw new PluginError(
      'invalid-name',
      `${JSON.stringify(name)} cannot name a plugin; use letters, digits, ".", "_" and "-", beginning with a letter or a digit`,
      { path: entry },
    )
  if (!parseVersion(version))
    throw new PluginError(
      'invalid-version',
      `${JSON.stringify(version)} is not a semantic version; write one as 1.2.3`,
      { path: entry },
    )
  if (type !== undefined && !isTypeName(type))
    throw new PluginError(
      'invalid-name',
      `${JSON.stringify(type)} cannot name a type; use lower-case letters, digits and "-"`,
      { path: entry },
    )
  if (!parseRange(node))
    throw new PluginError(
      'invalid-range',
      `${JSON.stringify(node)} is not a range of Node versions; write one as >=20.19`,
      { path: entry },
    )
  return { name, version, type, node }
}

function describe(
  { symbols, host, imports, code, sha256, map }: Bundle,
  identity: Identity,
  entry: string,
): Manifest {
  const manifest: Manifest = {
    ...identity,
    symbols,
    host,
    imports,
    code: { bytes: code.length, sha256 },
    map: map && { sha256: map.sha256 },
  }
  // What is written must be what is read, in every case.
  return parseManifest(formatManifest(manifest), entry)
}

/** `@acme/hello` as part of a file name. */
function fileName(name: string): string {
  return name.replace('@', '').replace('/', '-')
}
