import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type {
  OnLoadResult,
  OnResolveArgs,
  OnResolveResult,
  Plugin as EsbuildPlugin,
  PluginBuild,
} from 'esbuild'
import { isBuiltinModule } from '../builtin-module.js'
import { packageOf, type FoundPackage, type Packages } from './package-json.js'

/** Packages whose whole work is to find and load a native addon. */
const loaders = new Set([
  'bindings',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  '@mapbox/node-pre-gyp',
  'node-pre-gyp',
  'pkg-prebuilds',
  'prebuild-install',
])

/** Marks an error of this plugin among esbuild's. */
export const nativeAddonDetail = 'native-addon'

/**
 * Refuses native addons: one that is loaded twice into a process can abort it, and none ever leaves
 * it. A package that says that it can do without its native part gets to do without: to it, that
 * part is not installed.
 */
export function nativeAddons(packages: Packages): EsbuildPlugin {
  return {
    name: 'native-addons',
    setup(build) {
      build.onResolve({ filter: /\.node$/ }, (args) => refusal(args.path, packages.nearest(args.resolveDir)))
      // The main file of a package, or one that was asked for without its ending.
      build.onLoad({ filter: /\.node$/ }, ({ path }) =>
        refusal(basename(path), packages.nearest(dirname(path))),
      )
      build.onResolve({ filter: /^[^./]/ }, async (args) => {
        const name = packageOf(args.path)
        if (
          name === undefined ||
          isBuiltinModule(args.path) ||
          args.namespace !== 'file' ||
          args.pluginData === nativeAddonDetail
        )
          return undefined
        const importer = packages.nearest(args.resolveDir)
        if (isOptional(name, importer))
          return (await isUsable(build, args, packages)) ? undefined : { path: args.path, external: true }
        return loaders.has(name) ? refusal(name, importer) : undefined
      })
    },
  }
}

function isOptional(name: string, importer: FoundPackage | undefined): boolean {
  const { optionalDependencies = {}, peerDependenciesMeta = {} } = importer?.json ?? {}
  return name in optionalDependencies || peerDependenciesMeta[name]?.optional === true
}

/** Whether an optional package is installed and is plain JavaScript. */
async function isUsable(
  build: PluginBuild,
  { path, kind, resolveDir, importer }: OnResolveArgs,
  packages: Packages,
): Promise<boolean> {
  const { path: file, errors } = await build.resolve(path, {
    kind,
    resolveDir,
    importer,
    pluginData: nativeAddonDetail,
  })
  if (errors.length > 0 || file.endsWith('.node')) return false
  const found = packages.nearest(dirname(file))
  if (!found) return true
  const needs = Object.keys(found.json.dependencies ?? {})
  return !needs.some((each) => loaders.has(each)) && !existsSync(join(found.root, 'binding.gyp'))
}

function refusal(what: string, importer: FoundPackage | undefined): OnResolveResult & OnLoadResult {
  const who = importer?.json.name ?? 'the source'
  const text = `${who} loads a native addon (${what}): an addon stays in its process for ever and two versions of it cannot be told apart, so a plugin cannot bring one; let the host own it and share it as a host package, run it in a child process, or use a JavaScript or WebAssembly build of it`
  return { errors: [{ text, detail: nativeAddonDetail }] }
}
