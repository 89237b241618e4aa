import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { inspect } from '@micrograft/plugin'
import { commandLine } from './support/command-line.js'

/** Enough for a slow machine; a line that never comes must not hold up the run for ever. */
const timeout = 60_000

const source = (symbol: string) => `export function ${symbol}(): string { return 'hello' }\n`

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`builds again after a change and ends with 0 at ${signal}`, { timeout }, async (t) => {
    const { start, write, path } = await commandLine(t)
    await write('hello.ts', source('Hello'))
    const watching = start('build', 'hello.ts', '-o', 'out/', '--watch')
    assert.match(await watching.line(), /^out\/hello-0\.0\.1\.plugin\.cjs {2}hello 0\.0\.1 {2}\d/)
    await write('hello.ts', source('Howdy'))
    assert.match(await watching.line(), /^out\/hello-0\.0\.1\.plugin\.cjs {2}hello 0\.0\.1 {2}\d/)
    const { manifest } = await inspect(path('out/hello-0.0.1.plugin.cjs'))
    assert.deepEqual(manifest.symbols, ['Howdy'])
    assert.equal(await watching.stop(signal), 0)
  })
}

test('takes no output for a change where it lies beside the source', { timeout }, async (t) => {
  const { start, write } = await commandLine(t)
  await write('one.ts', source('One'))
  await write('two.ts', source('Two'))
  const watching = start('build', 'one.ts', 'two.ts', '--watch')
  const first = [await watching.line(), await watching.line()].map((line) => line.split('-')[0])
  assert.deepEqual(first.sort(), ['one', 'two'])
  for (const symbol of ['Changed', 'Again']) {
    // Nothing is to happen now; a build for the output would begin after 20 ms.
    await setTimeout(200)
    await write('one.ts', source(symbol))
    assert.match(await watching.line(), /^one-/)
  }
  assert.equal(await watching.stop('SIGTERM'), 0)
  assert.deepEqual(await watching.rest(), [])
})

test('prints a build that fails and goes on, with status 0 at the end', { timeout }, async (t) => {
  const { start, write } = await commandLine(t)
  await write('hello.ts', 'export const = 1')
  const watching = start('build', 'hello.ts', '--watch')
  assert.match(await watching.errorLine(), /^micrograft: .*hello\.ts:1:14: .* \[syntax-error\]$/)
  await write('hello.ts', source('Hello'))
  assert.match(await watching.line(), /^hello-0\.0\.1\.plugin\.cjs {2}/)
  assert.equal(await watching.stop('SIGTERM'), 0)
})

test('prints one line of JSON for each build with --json', { timeout }, async (t) => {
  const { start, write, path } = await commandLine(t)
  await write('hello.ts', source('Hello'))
  const watching = start('build', 'hello.ts', '--watch', '--json')
  const { id, bytes, ...first } = JSON.parse(await watching.line()) as Record<string, unknown>
  const file = path('hello-0.0.1.plugin.cjs')
  assert.deepEqual(first, {
    path: file,
    mapPath: `${file}.map`,
    name: 'hello',
    version: '0.0.1',
    type: null,
    signed: false,
    ms: null,
  })
  await write('hello.ts', source('LongerHello'))
  const second = JSON.parse(await watching.line()) as Record<string, unknown>
  assert.notEqual(second['id'], id)
  assert.ok((second['bytes'] as number) > (bytes as number))
  await write('hello.ts', 'export const = 1')
  const { error } = JSON.parse(await watching.errorLine()) as { error: { code: string } }
  assert.equal(error.code, 'syntax-error')
  assert.equal(await watching.stop('SIGTERM'), 0)
})

test('gives up with 1 where no change of a source can help', { timeout }, async (t) => {
  const { start } = await commandLine(t)
  const watching = start('build', 'none.ts', '--watch')
  assert.match(await watching.errorLine(), /\[entry-not-found\]$/)
  assert.equal(await watching.ended, 1)
})

test('ends with 0 and without a word when nobody reads its output any more', { timeout }, async (t) => {
  const { start, write } = await commandLine(t)
  await write('hello.ts', source('Hello'))
  const watching = start('build', 'hello.ts', '--watch')
  await watching.line()
  watching.closeOutput()
  await write('hello.ts', source('Howdy'))
  assert.equal(await watching.ended, 0)
  await assert.rejects(watching.errorLine(), /ended without another line/)
})
