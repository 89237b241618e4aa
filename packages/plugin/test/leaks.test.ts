import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '@micrograft/plugin/build'
import { workshop, type Workshop } from './support/workshop.js'

const cycles = 500

/** Builds plugins of about 10 KB, of which no two have a line in common. */
async function buildDistinct({ write, folder }: Workshop): Promise<string[]> {
  const paths: string[] = []
  for (let n = 0; n < cycles; n++) {
    const lines = Array.from(
      { length: 100 },
      (_, i) =>
        `export const f${i} = (a: number): string => 'plugin ${n} function ${i}: ' + (a + ${n * 1000 + i})`,
    )
    paths.push(await write(`src/p${n}.ts`, lines.join('\n')))
  }
  const built = await build(paths, { outDir: folder, version: '1.0.0', sourceMap: false })
  return built.map(({ path }) => path)
}

test('opening, using and closing 500 plugins leaves the heap as it was after 100', async (t) => {
  assert.ok(globalThis.gc, 'run with --expose-gc')
  const shop = await workshop(t)
  const paths = await buildDistinct(shop)
  const host = shop.platform()
  let settled = 0
  for (const [i, path] of paths.entries()) {
    const opened = await host.open<Record<string, (a: number) => string>>(path)
    assert.match(opened.lookup('f7')(1), /function 7/)
    assert.match(host.use<Record<string, (a: number) => string>>(`p${i}`).lookup('f9')(1), /function 9/)
    await opened.close()
    if (i === 99) settled = await heapUsed()
  }
  const ratio = (await heapUsed()) / settled
  assert.ok(ratio <= 1.1, `the heap grew ${ratio.toFixed(3)} times between cycle 100 and 500`)
})

async function heapUsed(): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}
