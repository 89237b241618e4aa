import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from '../child.js'
import { number, spread, table } from '../markdown.js'
import { interleave } from '../rounds.js'
import { timeProcess } from '../processes.js'
import { figure, median, ratio, type Figure } from '../statistics.js'
import type { BuildInput } from './build-child.js'
import type { Context } from './context.js'
import { goBuild, goModule } from './go-tool.js'
import { fixture } from './samples.js'

/** Milliseconds from a changed source to the file. */
export interface BuildResult {
  readonly api: Figure
  readonly cli: Figure
  /** `undefined` where Go is not installed. */
  readonly go: { readonly ms: Figure; readonly apiToGo: Figure; readonly cliToGo: Figure } | undefined
}

const child = new URL('build-child.js', import.meta.url)
const command = fileURLToPath(new URL('../../../packages/cli/bin/micrograft.js', import.meta.url))

export async function measureBuild({ folder, rounds, quick, hasGo, say }: Context): Promise<BuildResult> {
  say('build: the example of the seed')
  const own = join(folder, 'build')
  const source = (await readFile(fixture('testplugin.ts'), 'utf8')).replace('world', 'world @')
  const entry = join(own, 'testplugin.ts')
  await mkdir(own, { recursive: true })
  await writeFile(
    join(own, 'package.json'),
    JSON.stringify({ name: 'testplugin', version: '1.0.0', type: 'module' }),
  )
  const input: BuildInput = { entry, outDir: own, source, warmUp: quick ? 1 : 5, count: quick ? 2 : 15 }

  const goSource = (await readFile(fixture('testplugin.go'), 'utf8')).replace('world', 'world @')
  const goFolder = join(own, 'go')
  if (hasGo) await goModule(goFolder)
  const goChanged = async (change: number | string) => {
    await writeFile(join(goFolder, 'testplugin.go'), goSource.replace('@', String(change)))
    return goBuild(goFolder, 'testplugin.go', 'testplugin.so')
  }
  // The first build compiles Go's own packages as well.
  if (hasGo) await goChanged('first')

  let change = 0
  const measured = await interleave(rounds, {
    api: () => median(runChild<number[]>(child, input)),
    cli: async () => {
      await writeFile(entry, source.replace('@', `${++change} from the command line`))
      return timeProcess(process.execPath, [command, 'build', entry, '-o', join(own, 'cli.plugin.cjs')])
    },
    go: () => (hasGo ? goChanged(++change) : 0),
  })
  return {
    api: figure(measured.api),
    cli: figure(measured.cli),
    go: hasGo
      ? {
          ms: figure(measured.go),
          apiToGo: ratio(measured.api, measured.go),
          cliToGo: ratio(measured.cli, measured.go),
        }
      : undefined,
  }
}

export function describeBuild({ api, cli, go }: BuildResult): string {
  const rows = [
    ['`build()` in a process that has built before', spread(api), go ? share(go.apiToGo) : ''],
    ['`micrograft build`, the whole process', spread(cli), go ? share(go.cliToGo) : ''],
    ...(go ? [['`go build -buildmode=plugin`, the whole process', spread(go.ms), '1']] : []),
  ]
  return `## Building

The example of the seed: one module that prints, with one exported function. Its source is another each time.${
    go
      ? ' Go’s own packages are built already.'
      : ' Go is not installed here, so there is nothing to compare with.'
  }

${table(['', 'ms', '÷ Go'], rows)}
`
}

function share({ median: middle }: Figure): string {
  return `${number(middle)} (1/${number(1 / middle)})`
}
