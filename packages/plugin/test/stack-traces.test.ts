import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeys } from '@micrograft/plugin'
import { build, type BuildOptions } from '@micrograft/plugin/build'
import { runModule } from './support/child.js'
import { positionOf, rejectionStackOf, stackOf } from './support/stacks.js'
import { workshop } from './support/workshop.js'

/** Lines of types come to nothing, so that no line of it is the same in the output. */
const source = `interface Input {
  readonly text: string
}

export function parse(input: Input): never {
  const { text } = input as Input
  throw new SyntaxError('bad: ' + text)
}

export async function parseLater(input: Input): Promise<never> {
  await null
  return parse(input)
}

export async function parseTwice(input: Input): Promise<void> {
  await parseLater(input)
}
`

interface Parses {
  parse(input: object): never
  parseLater(input: object): Promise<never>
  parseTwice(input: object): Promise<void>
}

const thrown = positionOf(source, 'new SyntaxError')
const called = positionOf(source, 'parse(input)\n}')
const lineOf = (text: string) => positionOf(source, text).split(':')[0]

test("shows the plugin's own TypeScript file, line and column", async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const opened = await platform().open<Parses>((await plugin('parser', source)).path)
  const file = join(folder, 'parser-src/parser.ts')
  const [heading, first, second] = stackOf(() => opened.lookup('parse')({ text: 'x' }))
  assert.equal(heading, 'SyntaxError: bad: x')
  assert.equal(first, `parse (${file}:${thrown})`)
  assert.match(second ?? '', /stack-traces\.test\.js:\d+:\d+/)
})

test('shows them in asynchronous stacks too, and through a handle', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  await host.open((await plugin('parser', source)).path)
  const { call } = host.use<Parses>('parser')
  const file = join(folder, 'parser-src/parser.ts')
  const stack = await rejectionStackOf(call.parseTwice({ text: 'x' }))
  assert.deepEqual(stack.slice(0, 3), [
    'SyntaxError: bad: x',
    `parse (${file}:${thrown})`,
    `parseLater (${file}:${called})`,
  ])
  const awaited = stack.find((line) => line.startsWith('async parseTwice')) ?? ''
  assert.ok(awaited.startsWith(`async parseTwice (${file}:${lineOf('await parseLater')}:`), awaited)
})

test('shows them for functions within functions, methods, constructors and several files', async (t) => {
  const { write, platform, folder } = await workshop(t)
  const deep = `export type Nothing = undefined
export const fail = (): never => {
  throw new RangeError('deep')
}
`
  const entry = `import { fail } from './lib/deep.js'
type Unused = { readonly a: 1 }
class Order {
  constructor() { this.check() }
  check(): void { [1].forEach((one: number) => nested(one)) }
}
function nested(n: number): void {
  const inner = (): void => { fail() }
  if (n) inner()
}
export const make = (): Unused => new Order() as never
`
  await write('src/lib/deep.ts', deep)
  const built = await build(await write('src/order.ts', entry), { outDir: folder })
  const opened = await platform().open<{ make(): object }>(built.path)
  const stack = stackOf(opened.lookup('make'))
  const at = (name: string, text: string) =>
    `${name} (${join(folder, 'src/order.ts')}:${positionOf(entry, text)})`
  assert.equal(stack[0], 'RangeError: deep')
  assert.equal(stack[1], `fail (${join(folder, 'src/lib/deep.ts')}:${positionOf(deep, 'new RangeError')})`)
  assert.equal(stack[2], at('inner', 'fail() }'))
  assert.equal(stack[3], at('nested', 'inner()\n'))
  assert.ok(stack[4]?.includes(`order.ts:${positionOf(entry, 'nested(one)')}`), stack[4])
  assert.match(stack[5] ?? '', /^Array\.forEach/)
  assert.ok(stack[6]?.startsWith('Order.check') || stack[6]?.startsWith('_Order.check'), stack[6])
  assert.match(stack[7] ?? '', /^new _?Order \(.*order\.ts:4:/)
  assert.match(stack[8] ?? '', /^make \(.*order\.ts:11:/)
})

test('shows what module code threw while it was opened', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const { path } = await plugin('parser', `${source}\nparse({ text: 'early' })\n`)
  const error = await platform()
    .open(path)
    .catch((error: unknown) => error as Error)
  const { stack } = (error as { cause: Error }).cause
  assert.ok(stack?.includes(`at parse (${join(folder, 'parser-src/parser.ts')}:${thrown})`), stack)
})

test('each version shows its own lines, also where both come from the same file', async (t) => {
  const { write, platform, folder } = await workshop(t)
  const host = platform()
  const entry = await write('src/parser.ts', source)
  const first = await host.open<Parses>((await build(entry, { outDir: folder, version: '1.0.0' })).path)
  const parseFirst = first.lookup('parse')
  const changed = `// A line more.\n\n${source}`
  await write('src/parser.ts', changed)
  await host.open((await build(entry, { outDir: folder, version: '2.0.0' })).path)
  const { parse } = host.use<Parses>('parser').call
  const firstOf = (run: () => unknown) => stackOf(run)[1]
  const [before, after] = [
    `parse (${entry}:${thrown})`,
    `parse (${entry}:${positionOf(changed, 'new SyntaxError')})`,
  ]
  assert.notEqual(before, after)
  assert.equal(
    firstOf(() => parse({})),
    after,
  )
  assert.equal(
    firstOf(() => parseFirst({})),
    before,
  )
  host.prefer('parser', '1.0.0')
  assert.equal(
    firstOf(() => parse({})),
    before,
  )
  await first.close()
  assert.equal(
    firstOf(() => parse({})),
    after,
  )
})

test('each version shows its own lines where one took the place of the other on disk', async (t) => {
  const { write, platform, folder } = await workshop(t)
  const host = platform()
  const entry = await write('src/parser.ts', source)
  const outFile = join(folder, 'parser.plugin.cjs')
  const firstOf = (run: () => unknown) => stackOf(run)[1]
  const first = await host.open<Parses>((await build(entry, { outFile, version: '1.0.0' })).path)
  const before = `parse (${entry}:${thrown})`
  assert.equal(
    firstOf(() => first.lookup('parse')({})),
    before,
  )
  const changed = `// A line more.\n\n${source}`
  await write('src/parser.ts', changed)
  const second = await host.open<Parses>((await build(entry, { outFile, version: '2.0.0' })).path)
  const after = `parse (${entry}:${positionOf(changed, 'new SyntaxError')})`
  assert.equal(
    firstOf(() => second.lookup('parse')({})),
    after,
  )
  assert.equal(
    firstOf(() => first.lookup('parse')({})),
    before,
  )
})

test('shows them for a plugin that is minified, signed, or both', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const { privateKey } = generateKeys()
  const kinds: BuildOptions[] = [
    { minify: true },
    { signKey: privateKey },
    { minify: true, signKey: privateKey },
  ]
  for (const [i, options] of kinds.entries()) {
    const version = `1.${i}.0`
    const opened = await platform().open<Parses>(
      (await plugin('parser', source, { version, ...options })).path,
    )
    const stack = await rejectionStackOf(opened.lookup('parseTwice')({ text: 'x' }))
    assert.equal(stack[1], `parse (${join(folder, `parser-${version}/parser.ts`)}:${thrown})`)
    assert.ok(
      stack.some((line) => line.startsWith('async parseTwice (')),
      stack.join('\n'),
    )
  }
})

test('names a source by its place in its package where it is not on this machine', async (t) => {
  const { plugin, platform, write } = await workshop(t)
  const { path } = await plugin('parser', source)
  const opened = await platform().open<Parses>(path)
  const { rm } = await import('node:fs/promises')
  await rm(await write('parser-src/parser.ts', ''))
  assert.equal(stackOf(() => opened.lookup('parse')({}))[1], `parse (parser-src/parser.ts:${thrown})`)
})

test('shows them for many plugins at once, in turn', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  const names = Array.from({ length: 12 }, (_, i) => `parser${i}`)
  for (const name of names) await host.open((await plugin(name, source)).path)
  for (const round of [1, 2])
    for (const name of names) {
      const stack = stackOf(() => host.use<Parses>(name).call.parse({}))
      assert.equal(stack[1], `parse (${join(folder, `${name}-src/${name}.ts`)}:${thrown})`, `round ${round}`)
    }
})

test('a file that is open on two platforms keeps its lines when one of them closes it', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const { path } = await plugin('parser', source)
  const expected = `parse (${join(folder, 'parser-src/parser.ts')}:${thrown})`
  for (const closed of [0, 1] as const) {
    const opened = [await platform().open<Parses>(path), await platform().open<Parses>(path)] as const
    await opened[closed].close()
    assert.equal(stackOf(() => opened[(1 - closed) as 0 | 1].lookup('parse')({}))[1], expected)
    await opened[(1 - closed) as 0 | 1].close()
  }
})

test('an error that ends the process shows them too', async (t) => {
  const shop = await workshop(t)
  const { path } = await shop.plugin('parser', source)
  const script = `
    import { open } from '@micrograft/plugin'
    const plugin = await open(${JSON.stringify(path)})
    setImmediate(() => plugin.lookup('parse')({ text: 'x' }))`
  const { status, stderr } = await runModule(shop, 'host.mjs', script)
  assert.equal(status, 1)
  assert.ok(stderr.includes(`at parse (${join(shop.folder, 'parser-src/parser.ts')}:${thrown})`), stderr)
})
