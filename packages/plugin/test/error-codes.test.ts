import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { PluginError, pluginErrorCodes, type PluginErrorCode } from '@micrograft/plugin'

const sources = fileURLToPath(new URL('../src', import.meta.url))
const document = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url))
const codes = Object.keys(pluginErrorCodes) as PluginErrorCode[]

function sourceText(): string {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== 'errors.ts')
    .map((name) => readFileSync(join(sources, name), 'utf8'))
    .join('\n')
}

test('has no error code that nothing is refused with', () => {
  const used = new Set(
    [...sourceText().matchAll(/(?:PluginError\(|moduleFailed\(|\bcode:|\breturn|\?\?)\s*'([a-z-]+)'/g)].map(
      ([, each]) => each,
    ),
  )
  assert.deepEqual(
    codes.filter((each) => !used.has(each)),
    [],
  )
})

test('says of every error code what it means and what to do, in the order of the codes', () => {
  const rows = readFileSync(document, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  assert.deepEqual(
    rows.map(([, code]) => code?.replaceAll('`', '')),
    codes,
  )
  for (const [, code, meaning, remedy, ...rest] of rows) {
    assert.ok(meaning && remedy, `${code} has no meaning, or nothing to do`)
    assert.deepEqual(rest, [''])
  }
})

/** The module of the errors, evaluated again: what a host has that bundles this package beside another copy of it. */
async function secondCopy(): Promise<typeof PluginError> {
  const url = new URL('./errors.js?copy', import.meta.resolve('@micrograft/plugin'))
  return ((await import(url.href)) as { PluginError: typeof PluginError }).PluginError
}

test('knows an error of another copy of the package, and the other copy knows this one', async () => {
  const Other = await secondCopy()
  assert.notEqual(Other, PluginError)
  const [own, other] = [new PluginError('empty', 'own'), new Other('empty', 'other')]
  assert.ok(own instanceof PluginError && own instanceof Other && own instanceof Error)
  assert.ok(other instanceof PluginError && other instanceof Other && other instanceof Error)
})

test('takes nothing else for an error of this package', async () => {
  const lookalike = Object.assign(new Error('x'), { name: 'PluginError', code: 'empty', problems: [] })
  for (const value of [new Error('x'), lookalike, {}, null, undefined, 'PluginError', 1, () => undefined]) {
    assert.equal(value instanceof PluginError, false)
    assert.equal(value instanceof (await secondCopy()), false)
  }
})

test('gives an error a name, a code, and itself for its only problem', () => {
  const error = new PluginError('empty', 'the file is empty', { path: '/x' })
  assert.deepEqual(
    [error.name, error.code, error.path, error.message, error.problems],
    ['PluginError', 'empty', '/x', 'the file is empty', [{ code: 'empty', message: 'the file is empty' }]],
  )
  assert.equal('cause' in error, false)
  assert.ok('cause' in new PluginError('empty', 'x', { cause: undefined }))
  assert.match(String(error.stack), /^PluginError: the file is empty\n/)
})
