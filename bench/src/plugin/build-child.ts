import { writeFile } from 'node:fs/promises'
import { build } from '@micrograft/plugin/build'
import { childInput, report } from '../child.js'

export interface BuildInput {
  readonly entry: string
  readonly outDir: string
  /** The source, with `@` where each build has another number. */
  readonly source: string
  /** How many builds come first and do not count. */
  readonly warmUp: number
  readonly count: number
}

const { entry, outDir, source, warmUp, count } = childInput<BuildInput>()
const ms: number[] = []
for (let n = 0; n < warmUp + count; n++) {
  await writeFile(entry, source.replace('@', String(n)))
  const began = performance.now()
  await build(entry, { outDir, version: '1.0.0' })
  if (n >= warmUp) ms.push(performance.now() - began)
}
report(ms)
