import { join } from 'node:path'
import { runChild } from '../child.js'
import { spread, table } from '../markdown.js'
import { interleave } from '../rounds.js'
import { figure, median, type Figure } from '../statistics.js'
import type { Context } from './context.js'
import { openChild, warmCache } from './open.js'
import type { OpenInput, OpenOutput } from './open-child.js'
import { makeSample, writeSample, type SampleName } from './samples.js'

const variants = {
  import: 'import() of the ES module',
  require: 'require() of the plugin file',
  plain: 'open, no code cache',
  cached: 'open, code cache warm',
} as const

type Variant = keyof typeof variants

export interface StallResult {
  readonly sample: SampleName
  readonly about: string
  readonly bytes: number
  readonly variants: Readonly<Record<Variant, StallFigures>>
}

/** The longest time in which the event loop did not turn, in milliseconds. */
export interface StallFigures {
  /** While the first file of a process is loaded. */
  readonly first: Figure
  /** The median of later loads, by round. */
  readonly later: Figure
  /** The longest of all later loads, by round. */
  readonly worst: Figure
}

export async function measureStall({ folder, rounds, quick, say }: Context): Promise<StallResult[]> {
  const names: SampleName[] = quick ? ['small'] : ['postgres', 'ajv']
  const results: StallResult[] = []
  for (const name of names) {
    say(`stall: ${name}`)
    const sample = await makeSample(name, join(folder, 'samples'))
    const { plugins, modules } = await writeSample(sample, quick ? 3 : 25, join(folder, 'stall'))
    const cacheDirectory = await warmCache({ plugins, modules }, folder)
    const run = (input: OpenInput) => runChild<OpenOutput>(openChild, { ...input, stall: true }).ms
    const measured = await interleave<readonly number[], Variant>(rounds, {
      import: () => run({ loading: 'import', files: modules }),
      require: () => run({ loading: 'require', files: plugins }),
      plain: () => run({ loading: 'plugin', files: plugins }),
      cached: () => run({ loading: 'plugin', files: plugins, cacheDirectory }),
    })
    const result = (variant: Variant): StallFigures => ({
      first: figure(measured[variant].map(([first]) => first as number)),
      later: figure(measured[variant].map(([, ...later]) => median(later))),
      worst: figure(measured[variant].map(([, ...later]) => Math.max(...later))),
    })
    results.push({
      sample: name,
      about: sample.about,
      bytes: sample.bytes,
      variants: {
        import: result('import'),
        require: result('require'),
        plain: result('plain'),
        cached: result('cached'),
      },
    })
  }
  return results
}

export function describeStall(results: readonly StallResult[]): string {
  const tables = results.map(({ about, bytes, variants: measured }) =>
    table(
      [
        `${Math.round(bytes / 1000)} KB: ${about}`,
        'first in a process, ms',
        'later, ms',
        'the worst of the later, ms',
      ],
      (Object.keys(variants) as Variant[]).map((variant) => {
        const { first, later, worst } = measured[variant]
        return [variants[variant], spread(first), spread(later), spread(worst)]
      }),
    ),
  )
  return `## Holding up the event loop

The longest time between two turns of the event loop while a file is being opened. A chain of \`setImmediate\` looks at the clock in each turn. What another process took from this one counts here too; the median of the rounds is what the machine does when it is left alone.

${tables.join('\n\n')}
`
}
