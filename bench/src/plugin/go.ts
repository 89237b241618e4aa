import { spawnSync } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from '@micrograft/plugin/build'
import { runChild } from '../child.js'
import { number, spread, table } from '../markdown.js'
import { interleave } from '../rounds.js'
import { figure, ratio, type Figure } from '../statistics.js'
import type { Context } from './context.js'
import { goBuild, goModule, goProgram } from './go-tool.js'
import type { SeedInput, SeedOutput } from './seed-child.js'
import { fixture } from './samples.js'

const child = new URL('seed-child.js', import.meta.url)

export interface Pair {
  readonly go: Figure
  readonly ours: Figure
  readonly oursToGo: Figure
}

export interface GoResult {
  /** Opening the example of the seed as the first plugin of a process, milliseconds. */
  readonly open: Pair
  /** Nanoseconds. */
  readonly lookup: Pair
  /** Nanoseconds; ours through a handle. */
  readonly call: Pair
}

/** What `fixtures/host.go` tells. */
interface GoOutput {
  readonly openMs: number
  readonly lookupNs: number
  readonly callNs: number
  readonly sum: number
}

export async function measureGo({ folder, rounds, quick, say }: Context): Promise<GoResult> {
  say('go: the plugin package of its standard library')
  const own = join(folder, 'go')
  await goModule(own)
  for (const name of ['host.go', 'testplugin.go', 'adder.go']) await copyFile(fixture(name), join(own, name))
  goProgram(own, 'host.go', 'host')
  goBuild(own, 'testplugin.go', 'testplugin.so')
  goBuild(own, 'adder.go', 'adder.so')
  const seed = await build(fixture('testplugin.ts'), { outDir: own, version: '1.0.0' })
  const adder = await build(fixture('adder.ts'), { outDir: own, version: '1.0.0' })

  const lookups = quick ? 10_000 : 2_000_000
  const calls = quick ? 100_000 : 50_000_000
  const runGo = (plugin: string, symbol: string, count: number): GoOutput => {
    const { status, stderr } = spawnSync(
      join(own, 'host'),
      [join(own, plugin), symbol, String(lookups), String(count)],
      { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(`the Go host ended with ${status}: ${stderr}`)
    return JSON.parse(stderr) as GoOutput
  }
  const runOurs = (input: SeedInput) => runChild<SeedOutput>(child, input)
  const measured = await interleave<
    Pick<GoOutput, keyof SeedOutput>,
    'goOpen' | 'goCalls' | 'open' | 'calls'
  >(rounds, {
    goOpen: () => runGo('testplugin.so', 'Hello', 0),
    goCalls: () => runGo('adder.so', 'Add', calls),
    open: () => runOurs({ file: seed.path, symbol: 'Hello', lookups, calls: 0 }),
    calls: () => runOurs({ file: adder.path, symbol: 'add', lookups, calls }),
  })
  const pair = (go: readonly number[], ours: readonly number[]): Pair => ({
    go: figure(go),
    ours: figure(ours),
    oursToGo: ratio(ours, go),
  })
  return {
    open: pair(
      measured.goOpen.map(({ openMs }) => openMs),
      measured.open.map(({ openMs }) => openMs),
    ),
    lookup: pair(
      measured.goCalls.map(({ lookupNs }) => lookupNs),
      measured.calls.map(({ lookupNs }) => lookupNs),
    ),
    call: pair(
      measured.goCalls.map(({ callNs }) => callNs),
      measured.calls.map(({ callNs }) => callNs),
    ),
  }
}

export function describeGo(result: GoResult | undefined): string {
  if (!result) return '## Go’s plugin package\n\nNot measured: Go is not installed here.\n'
  const row = (label: string, { go, ours, oursToGo }: Pair) => [
    label,
    spread(go),
    spread(ours),
    number(oursToGo.median),
  ]
  return `## Go’s plugin package

The same sources in both languages: the example of the seed is opened first in a fresh process that has printed a line before; \`Add\` of two 32-bit integers is looked up and called in a loop as above. Go finds a shared library and links it; a plugin file is verified, compiled and run.

${table(
  ['', 'Go', 'here', 'here ÷ Go'],
  [
    row('open, ms', result.open),
    row('lookup, ns', result.lookup),
    row('call of what was looked up, ns; here through a handle', result.call),
  ],
)}
`
}
