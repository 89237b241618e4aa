import { join } from 'node:path'
import { build } from '@micrograft/plugin/build'
import { runChild } from '../child.js'
import { number, spread, table } from '../markdown.js'
import { interleave, type Measure } from '../rounds.js'
import { figure, median, ratio, type Figure } from '../statistics.js'
import type { CallInput, Calling } from './call-child.js'
import type { Context } from './context.js'
import { openChild } from './open.js'
import type { Loading, OpenInput, OpenOutput } from './open-child.js'
import { fixture, makeSample, writeSample } from './samples.js'

const child = new URL('call-child.js', import.meta.url)

const swaps = 20

export type CallKind =
  | 'direct'
  | 'lookedUp'
  | 'kept'
  | 'handle'
  | 'keptSwapped'
  | 'handleSwapped'
  | 'directAsync'
  | 'lookedUpAsync'
  | 'handleAsync'
  | 'handleAsyncSwapped'
  | 'lookup'
  | 'handleLookup'

interface Kind {
  readonly label: string
  readonly calling: Calling
  readonly async?: boolean
  readonly swapped?: boolean
}

const kinds: Readonly<Record<CallKind, Kind>> = {
  direct: { label: 'direct call', calling: 'direct' },
  lookedUp: { label: 'function kept from `lookup`', calling: 'looked up' },
  kept: { label: 'function kept from a handle', calling: 'kept function' },
  handle: { label: '`handle.call.add(…)`', calling: 'through handle' },
  keptSwapped: {
    label: `function kept from a handle, after ${swaps} swaps`,
    calling: 'kept function',
    swapped: true,
  },
  handleSwapped: {
    label: `\`handle.call.add(…)\`, after ${swaps} swaps`,
    calling: 'through handle',
    swapped: true,
  },
  directAsync: { label: 'direct call, awaited', calling: 'direct', async: true },
  lookedUpAsync: { label: 'function kept from `lookup`, awaited', calling: 'looked up', async: true },
  handleAsync: { label: '`handle.call.addAsync(…)`, awaited', calling: 'through handle', async: true },
  handleAsyncSwapped: {
    label: `the same, after ${swaps} swaps`,
    calling: 'through handle',
    async: true,
    swapped: true,
  },
  lookup: { label: '`plugin.lookup(…)`', calling: 'lookup' },
  handleLookup: { label: '`handle.lookup(…)`', calling: 'handle lookup' },
}

/** Nanoseconds for one call; each over the direct call of its sort in the same round. */
export type CallFigures = Readonly<Record<CallKind, { readonly ns: Figure; readonly toDirect: Figure }>>

/** Nanoseconds for the first call of a function of a file that was just loaded. */
export type FirstCalls = Readonly<Record<'import' | 'plugin' | 'handle', { first: Figure; later: Figure }>>

export interface CallResult {
  readonly calls: CallFigures
  readonly firstCalls: FirstCalls
}

export async function measureCalls(context: Context): Promise<CallResult> {
  context.say('calls')
  const files = await versions(context)
  const { rounds, quick } = context
  const measure = ({ calling, async = false, swapped = false }: Kind): Measure<number> => {
    const many = async ? 500_000 : 20_000_000
    const input: CallInput = {
      calling,
      async,
      files: swapped ? files : files.slice(0, 1),
      count: quick ? many / 100 : many,
      batches: quick ? 2 : 5,
    }
    return () => median(runChild<number[]>(child, input))
  }
  const measured = await interleave(rounds, map(kinds, measure))
  const calls = map(kinds, (kind: Kind, name) => ({
    ns: figure(measured[name]),
    toDirect: ratio(measured[name], kind.async === true ? measured.directAsync : measured.direct),
  }))
  return { calls, firstCalls: await measureFirstCalls(context) }
}

/** Versions of one plugin, of which each is preferred to the one before. */
async function versions({ folder }: Context): Promise<string[]> {
  const files: string[] = []
  for (let n = 0; n <= swaps; n++) {
    const { path } = await build(fixture('adder.ts'), { outDir: join(folder, 'calls'), version: `1.0.${n}` })
    files.push(path)
  }
  return files
}

async function measureFirstCalls({ folder, rounds, quick }: Context): Promise<FirstCalls> {
  const sample = await makeSample('small', join(folder, 'samples'))
  const files = await writeSample(sample, quick ? 3 : 25, join(folder, 'first-calls'))
  const run = (loading: Loading) => () => {
    const input: OpenInput = { loading, files: loading === 'import' ? files.modules : files.plugins }
    return runChild<OpenOutput>(openChild, input).firstCallNs
  }
  const measured = await interleave(rounds, {
    import: run('import'),
    plugin: run('plugin'),
    handle: run('handle'),
  })
  return map(measured, (each) => ({
    first: figure(each.map(([first]) => first as number)),
    later: figure(each.map(([, ...later]) => median(later))),
  }))
}

function map<K extends string, V, R>(
  object: Readonly<Record<K, V>>,
  change: (value: V, key: K) => R,
): Record<K, R> {
  return Object.fromEntries(
    Object.entries<V>(object).map(([key, value]) => [key, change(value, key as K)]),
  ) as Record<K, R>
}

export function describeCalls({ calls, firstCalls }: CallResult): string {
  const rows = (Object.keys(kinds) as CallKind[]).map((name) => [
    kinds[name].label,
    spread(calls[name].ns),
    name.startsWith('lookup') || name === 'handleLookup' ? '' : number(calls[name].toDirect.median),
  ])
  const firsts = [
    ['export of an ES module, from `import()`', firstCalls.import],
    ['`plugin.lookup(…)(…)`', firstCalls.plugin],
    ['`handle.call.probe(…)`', firstCalls.handle],
  ] as const
  return `## Calling

\`add(a, b)\` of two integers, in a loop in which each call takes the result of the one before, so that none can be left out, and whose sum is checked. The body is next to nothing: this is what a way of calling costs at most, where V8 inlines a direct call whole. Each figure is from a process of its own, with one way of calling in it. *After ${swaps} swaps* the same loop has run against ${swaps + 1} versions, more than V8 keeps apart at one place.

${table(['', 'ns a call', '÷ direct'], rows)}

The first call of a function that does nothing, of a file that was just loaded; V8 compiles the function then:

${table(
  ['', 'first in a process, µs', 'later, µs'],
  firsts.map(([label, { first, later }]) => [label, spread(thousandth(first)), spread(thousandth(later))]),
)}
`
}

function thousandth({ samples }: Figure): Figure {
  return figure(samples.map((each) => each / 1000))
}
