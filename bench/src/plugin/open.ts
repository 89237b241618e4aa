import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runChild } from '../child.js'
import { number, spread, table } from '../markdown.js'
import { interleave, type Measure } from '../rounds.js'
import { figure, median, ratio, type Figure } from '../statistics.js'
import type { Context } from './context.js'
import type { OpenInput, OpenOutput } from './open-child.js'
import { makeSample, writeSample, type SampleFiles, type SampleName } from './samples.js'

export const openChild: URL = new URL('open-child.js', import.meta.url)

const variants = {
  import: 'import() of the ES module',
  require: 'require() of the plugin file',
  plain: 'open, no code cache',
  writing: 'open, code cache on, no entry yet',
  cached: 'open, code cache warm',
} as const

type Variant = keyof typeof variants
type Moment = 'first' | 'steady'

export interface OpenResult {
  readonly sample: SampleName
  readonly about: string
  readonly bytes: number
  readonly variants: Readonly<Record<Variant, VariantResult>>
}

export interface VariantResult {
  /** The first load of a process; the median of later ones. Milliseconds. */
  readonly first: Figure
  readonly steady: Figure
  /** Loading and then using it once, in the median of later loads. Milliseconds. */
  readonly steadyWithUse: Figure
  /** The same, each over that of `import()` in the same round. */
  readonly toImport: Readonly<Record<Moment | 'steadyWithUse', Figure>>
  /** Loading the platform itself. Milliseconds. */
  readonly host: Figure | undefined
}

export async function measureOpen({ folder, rounds, quick, say }: Context): Promise<OpenResult[]> {
  const names: SampleName[] = quick ? ['small'] : ['small', 'postgres', 'ajv', 'large']
  const results: OpenResult[] = []
  for (const name of names) {
    const sample = await makeSample(name, join(folder, 'samples'))
    say(`open: ${name}, ${sample.bytes} bytes`)
    const files = await writeSample(sample, quick ? 3 : 25, join(folder, 'open'))
    const measured = await interleave(rounds, measures(files, await warmCache(files, folder), folder))
    results.push({ sample: name, about: sample.about, bytes: sample.bytes, variants: evaluate(measured) })
  }
  return results
}

/** A cache with an entry for every file, as a process before this one would have left it. */
export async function warmCache({ plugins }: SampleFiles, folder: string): Promise<string> {
  const cacheDirectory = join(folder, `cache-${plugins.length}-${Date.now()}`)
  await mkdir(cacheDirectory)
  runChild(openChild, { loading: 'plugin', files: plugins, cacheDirectory } satisfies OpenInput)
  return cacheDirectory
}

function measures(
  { plugins, modules }: SampleFiles,
  warm: string,
  folder: string,
): Record<Variant, Measure<OpenOutput>> {
  const run = (input: OpenInput) => runChild<OpenOutput>(openChild, input)
  return {
    import: () => run({ loading: 'import', files: modules }),
    require: () => run({ loading: 'require', files: plugins }),
    plain: () => run({ loading: 'plugin', files: plugins }),
    writing: async () => {
      const cacheDirectory = join(folder, 'cache-cold')
      await rm(cacheDirectory, { recursive: true, force: true })
      return run({ loading: 'plugin', files: plugins, cacheDirectory })
    },
    cached: () => run({ loading: 'plugin', files: plugins, cacheDirectory: warm }),
  }
}

/** Loads of a process before it counts as steady. */
function later(samples: readonly number[]): readonly number[] {
  return samples.slice(Math.min(5, samples.length - 1))
}

function evaluate(measured: Record<Variant, OpenOutput[]>): OpenResult['variants'] {
  const figures = (variant: Variant) => {
    const rounds = measured[variant]
    return {
      first: rounds.map(({ ms }) => ms[0] as number),
      steady: rounds.map(({ ms }) => median(later(ms))),
      steadyWithUse: rounds.map(({ ms, firstUseMs }) =>
        median(later(ms.map((each, i) => each + (firstUseMs[i] as number)))),
      ),
      host: rounds.flatMap(({ hostMs }) => hostMs ?? []),
    }
  }
  const base = figures('import')
  const result = (variant: Variant): VariantResult => {
    const { first, steady, steadyWithUse, host } = figures(variant)
    return {
      first: figure(first),
      steady: figure(steady),
      steadyWithUse: figure(steadyWithUse),
      toImport: {
        first: ratio(first, base.first),
        steady: ratio(steady, base.steady),
        steadyWithUse: ratio(steadyWithUse, base.steadyWithUse),
      },
      host: host.length > 0 ? figure(host) : undefined,
    }
  }
  return {
    import: result('import'),
    require: result('require'),
    plain: result('plain'),
    writing: result('writing'),
    cached: result('cached'),
  }
}

export function describeOpen(results: readonly OpenResult[]): string {
  const sections = results.map(({ about, bytes, variants: measured }) => {
    const rows = (Object.keys(variants) as Variant[]).map((variant) => {
      const { first, steady, steadyWithUse, toImport } = measured[variant]
      return [
        variants[variant],
        spread(first),
        number(toImport.first.median),
        spread(steady),
        number(toImport.steady.median),
        spread(steadyWithUse),
        number(toImport.steadyWithUse.median),
      ]
    })
    const head = [
      `${number(bytes / 1000)} KB: ${about}`,
      'first in a process, ms',
      '÷ import()',
      'later, ms',
      '÷ import()',
      'later, with first use, ms',
      '÷ import()',
    ]
    return table(head, rows)
  })
  const host = results[0]?.variants.plain.host
  return `## Opening

From the call until the exports can be used: reading, verifying (manifest, code, compatibility), compiling, running module code. Every load is of a file with content of its own. *First* is the first load of a process; *later* is the median of ${results[0] ? 'the loads after the fifth' : 'later loads'} of that process. *First use* calls what the bundle is for once: a function that V8 skipped at first is compiled then.

${sections.join('\n\n')}
${host ? `\nLoading \`@micrograft/plugin\` itself takes ${spread(host)} ms, once for a process, and is not part of the above.\n` : ''}`
}
