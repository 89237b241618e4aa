import { isAscii } from 'node:buffer'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import vm from 'node:vm'
import { PluginError, reason, releaseFrames } from '../errors.js'
import type { PluginFile } from '../format/plugin-file.js'
import { Scope } from './scope.js'

/** A module object as CommonJS code has it. */
export interface PluginModule {
  exports: unknown
}

export interface EvaluateOptions {
  readonly require: (specifier: string) => unknown
  readonly scope: Scope
  readonly module: PluginModule
  /** V8's code cache for exactly this file, from a store that only this host writes to. */
  readonly cachedData: Buffer | undefined
  readonly produceCachedData: boolean
  /** What V8 is to know the code by. */
  readonly url: string
}

/** What became of the code cache. */
export interface Compiled {
  readonly produced: Buffer | undefined
  /** Whether V8 found that the cache given was not made by it from this source. */
  readonly rejected: boolean
}

type CompiledFunction = ((...args: unknown[]) => void) & { cachedData?: Buffer; cachedDataRejected?: boolean }

/**
 * Results of `compileFunction` enter V8's compilation cache from Node 22 on, which lets go of them
 * only when the heap is nearly full; an empty context extension keeps them out. On Node 20 they do
 * not enter it, and an extension makes every access to a global a hundred times slower.
 */
const outsideCompilationCache = Number(process.versions.node.split('.')[0]) >= 22

/** The names under which module code finds what it is given. */
const parameters: readonly string[] = [
  'exports',
  'require',
  'module',
  '__filename',
  '__dirname',
  ...Scope.names,
]

/** Makes every function of the plugin hold `module`, so that one WeakRef tells of all of them. */
const hold = '\n;() => module'

/** What a compiled form has of this host beside the file. */
export const surroundings: string = parameters.join() + hold

/** The name that V8 knows a file's code by: its URL, told from other content at the same path. */
export function scriptUrl({ path, id }: Pick<PluginFile, 'path' | 'id'>): string {
  return `${pathToFileURL(path).href}?${id.slice(0, 8)}`
}

/**
 * Compiles and runs a file's module code, once its immediate promises have settled. An ES module
 * could never leave memory again; a function can.
 *
 * @throws `module-threw` or `module-rejected`.
 */
export async function evaluate(file: PluginFile, options: EvaluateOptions): Promise<Compiled> {
  const { cachedData, produceCachedData, scope, module, url } = options
  // Line numbers are those on disk: both lines of the header are comments. The link to the map names
  // a place, so it cannot be part of the file.
  const link = file.manifest.map ? `\n//# sourceMappingURL=${url.replace(/\?.*$/, '')}.map` : ''
  const source = `${decode(file.bytes)}${hold}${link}`
  let result: Compiled = { produced: undefined, rejected: false }
  await runGuarded(file, () => {
    const compiled = vm.compileFunction(source, parameters, {
      filename: url,
      cachedData,
      produceCachedData,
      ...(outsideCompilationCache ? { contextExtensions: [Object.create(null) as object] } : {}),
    }) as CompiledFunction
    result = { produced: compiled.cachedData, rejected: compiled.cachedDataRejected === true }
    compiled.call(
      module.exports,
      module.exports,
      options.require,
      module,
      file.path,
      dirname(file.path),
      ...scope.values,
    )
  })
  return result
}

/** The builder's output is ASCII unless a comment is not; that is decoded faster, and compiled faster. */
function decode(bytes: Buffer): string {
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
}

/**
 * Runs `run` in a turn of its own, and takes promises that it leaves rejected as its failure: they
 * would end the process. Two immediates that are queued together have nothing between them but
 * what the first one caused.
 */
function runGuarded(file: PluginFile, run: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: PluginError | undefined
    // Raw, so that a listener that was added with `once` is one still.
    let others: NodeJS.UnhandledRejectionListener[] = []
    const onRejection = (rejected: unknown) => {
      failure ??= moduleFailed('module-rejected', file, 'left a promise that rejected', rejected)
    }
    setImmediate(() => {
      others = process.rawListeners('unhandledRejection') as NodeJS.UnhandledRejectionListener[]
      process.removeAllListeners('unhandledRejection').on('unhandledRejection', onRejection)
      try {
        run()
      } catch (error) {
        failure = moduleFailed('module-threw', file, 'threw', error)
      }
    })
    setImmediate(() => {
      process.off('unhandledRejection', onRejection)
      for (const each of others) process.on('unhandledRejection', each)
      if (failure) reject(failure)
      else resolve()
    })
  })
}

export function moduleFailed(
  code: 'module-threw' | 'module-rejected',
  file: PluginFile,
  did: string,
  thrown: unknown,
): PluginError {
  releaseFrames(thrown)
  const { name, version } = file.manifest
  const message = `the module code of ${name} ${version} (${file.path}) ${did}: ${reason(thrown)}; the plugin was not opened`
  return new PluginError(code, message, { path: file.path, cause: thrown })
}
