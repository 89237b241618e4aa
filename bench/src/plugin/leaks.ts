import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runChild } from '../child.js'
import { number, table } from '../markdown.js'
import { otherNodes } from '../nodes.js'
import type { Context } from './context.js'
import type { LeakInput, Look } from './leak-child.js'
import { makeSample, type Sample, type SampleName } from './samples.js'

const child = new URL('leak-child.js', import.meta.url)

export interface LeakResult {
  readonly node: string
  readonly sample: SampleName
  readonly bytes: number
  readonly loading: LeakInput['loading']
  readonly cycles: number
  readonly early: Look
  readonly end: Look
  readonly looks: readonly Look[]
  /** The heap at the end over the heap after the early cycle. */
  readonly heapRatio: number
  /** The heap at the end over the heap after a fifth of the cycles, when V8 has compiled the host's code. */
  readonly settledRatio: number
}

export async function measureLeaks({ folder, quick, say }: Context): Promise<LeakResult[]> {
  const small = await makeSample('small', join(folder, 'samples'))
  const large = quick ? small : await makeSample('ajv', join(folder, 'samples'))
  const run = (node: Node, sample: Sample, loading: LeakInput['loading'], cycles: number) => {
    say(`leaks: ${cycles} × ${sample.name}, ${loading}, Node ${node.version}`)
    return measure(folder, node, sample, loading, quick ? cycles / 50 : cycles)
  }
  const results: LeakResult[] = []
  for (const node of await nodes(quick)) {
    results.push(await run(node, small, 'plugin', 10_000))
    results.push(await run(node, large, 'plugin', quick ? 10_000 : 1000))
  }
  results.push(await run(thisNode, small, 'import', quick ? 10_000 : 1000))
  return results
}

interface Node {
  readonly version: string
  readonly binary: string
}

const thisNode: Node = { version: process.versions.node, binary: process.execPath }

async function nodes(quick: boolean): Promise<Node[]> {
  if (quick) return [thisNode]
  const { otherVersions, nodeBinary } = await otherNodes()
  const others = otherVersions
    .filter((version) => version !== thisNode.version)
    .map((version) => ({ version, binary: nodeBinary(version) }))
  return [thisNode, ...others]
}

async function measure(
  folder: string,
  { version, binary }: Node,
  sample: Sample,
  loading: LeakInput['loading'],
  cycles: number,
): Promise<LeakResult> {
  const own = join(folder, 'leaks')
  await mkdir(own, { recursive: true })
  const template = join(own, `template-${sample.name}`)
  await writeFile(template, loading === 'plugin' ? sample.plugin : sample.module)
  const steps = Array.from({ length: 10 }, (_, i) => Math.round((cycles * (i + 1)) / 10))
  const input: LeakInput = { loading, template, folder: own, cycles, looks: [100, ...steps] }
  const looks = runChild<Look[]>(child, input, { node: binary, flags: ['--expose-gc'] })
  const early = looks.find(({ cycle }) => cycle === 100) as Look
  const settled = looks.find(({ cycle }) => cycle >= cycles / 5 && cycle >= 100) as Look
  const end = looks.at(-1) as Look
  return {
    node: version,
    sample: sample.name,
    bytes: sample.bytes,
    loading,
    cycles,
    early,
    end,
    looks,
    heapRatio: end.heapUsed / early.heapUsed,
    settledRatio: end.heapUsed / settled.heapUsed,
  }
}

export function describeLeaks(results: readonly LeakResult[]): string {
  const rows = results.map(({ node, bytes, loading, cycles, early, end, heapRatio, settledRatio }) => [
    `${loading === 'plugin' ? 'open, use, close' : '`import()` and use, for comparison'}: ${number(bytes / 1000)} KB, Node ${node}`,
    number(cycles),
    mega(early.heapUsed),
    mega(end.heapUsed),
    number(heapRatio),
    number(settledRatio),
    mega(early.rss),
    mega(end.rss),
  ])
  const head = [
    '',
    'cycles',
    'heap after 100, MB',
    'heap at the end, MB',
    'end ÷ 100',
    'end ÷ a fifth',
    'RSS after 100, MB',
    'RSS at the end, MB',
  ]
  return `## Giving memory back

Each cycle writes a file with content of its own, opens it, calls it by \`lookup\` and through a handle, closes it and removes the file. The heap is \`heapUsed\` after forced garbage collections (\`--expose-gc\`); resident memory (RSS) is what the operating system counts, where V8 and the C library keep pages that they have freed. What the first cycles add is V8’s compiled code of the host itself, which the ratio to the heap after a fifth of the cycles leaves out. An ES module can never leave: the last row shows what \`import()\` does.

${table(head, rows)}
`
}

function mega(bytes: number): string {
  return number(bytes / 1e6)
}
