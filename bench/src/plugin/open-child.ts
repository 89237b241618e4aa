import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { childInput, report } from '../child.js'

/** How a file is loaded. */
export type Loading = 'import' | 'require' | 'plugin' | 'handle'

export interface OpenInput {
  readonly loading: Loading
  /** Files with the same code and distinct stamps, loaded one after another. */
  readonly files: readonly string[]
  readonly cacheDirectory?: string | undefined
  /** Watches how long the event loop is held up, instead of how long loading takes. */
  readonly stall?: boolean | undefined
}

/** Of each file, in the order of loading. */
export interface OpenOutput {
  /** From the call until the exports are there; where stalls are watched, the longest one. */
  readonly ms: readonly number[]
  /** The first call of a function that does nothing. */
  readonly firstCallNs: readonly number[]
  /** The first use of what the file is for. */
  readonly firstUseMs: readonly number[]
  /** Loading the plugin platform itself. */
  readonly hostMs: number | undefined
}

interface Exports {
  probe(n: number): number
  exercise(): boolean
}

interface Loader {
  readonly hostMs?: number
  load(file: string): Promise<{
    /** Calls `probe` for the first time, as a user of this way of loading would. */
    readonly probe: () => number
    readonly exports: () => Exports
    readonly forget: () => Promise<unknown> | void
  }>
}

const { loading, files, cacheDirectory, stall = false } = childInput<OpenInput>()
const loader = await makeLoader(loading)
const ms: number[] = []
const firstCallNs: number[] = []
const firstUseMs: number[] = []
for (const file of files) await measure(file)
report({ ms, firstCallNs, firstUseMs, hostMs: loader.hostMs } satisfies OpenOutput)

async function measure(file: string): Promise<void> {
  const began = performance.now()
  const { value, longest } = stall
    ? await watchLoop(() => loader.load(file))
    : { value: await loader.load(file), longest: undefined }
  ms.push(longest ?? performance.now() - began)

  const beforeCall = performance.now()
  const answer = value.probe()
  const afterCall = performance.now()
  firstCallNs.push((afterCall - beforeCall) * 1e6)
  const used = value.exports().exercise()
  firstUseMs.push(performance.now() - afterCall)
  if (answer !== 2 || !used) throw new Error('the sample does not do what it is for')

  await value.forget()
  await turns(5)
}

async function makeLoader(how: Loading): Promise<Loader> {
  if (how === 'import') {
    return {
      async load(file) {
        const module = (await import(pathToFileURL(file).href)) as Exports
        return { probe: () => module.probe(1), exports: () => module, forget: () => undefined }
      },
    }
  }
  if (how === 'require') {
    const require = createRequire(import.meta.url)
    return {
      load(file) {
        const module = require(file) as Exports
        const forget = () => void delete require.cache[file]
        return Promise.resolve({ probe: () => module.probe(1), exports: () => module, forget })
      },
    }
  }
  const began = performance.now()
  const { createPlatform } = await import('@micrograft/plugin')
  const hostMs = performance.now() - began
  const platform = createPlatform({
    codeCache: cacheDirectory === undefined ? undefined : { directory: cacheDirectory },
  })
  return {
    hostMs,
    async load(file) {
      const plugin = await platform.open<{ [K in keyof Exports]: Exports[K] }>(file)
      const handle = platform.use<Pick<Exports, 'probe'>>(plugin.manifest.name)
      return {
        probe: how === 'handle' ? () => handle.call.probe(1) : () => plugin.lookup('probe')(1),
        exports: () => ({ probe: plugin.lookup('probe'), exercise: plugin.lookup('exercise') }),
        forget: () => plugin.close(),
      }
    },
  }
}

/** The longest time between two turns of the event loop while `run` is under way. */
async function watchLoop<T>(run: () => Promise<T>): Promise<{ value: T; longest: number }> {
  let last = performance.now()
  let longest = 0
  let watching = true
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (watching) setImmediate(turn)
  }
  setImmediate(turn)
  await turns(10)
  longest = 0
  const value = await run()
  await turns(2)
  watching = false
  return { value, longest }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
