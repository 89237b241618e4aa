import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { fieldsFor, handMade, manifestText, type HandMade } from './support/hand-made.js'
import { loneHost } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

/** Manifests that carry the right hash of themselves, so that only what they say is wrong. */
function texts(
  made: Readonly<Record<string, string | Uint8Array>>,
): readonly (readonly [string, HandMade])[] {
  return Object.entries(made).map(([name, text]) => [name, { text }])
}

const fields = fieldsFor(Buffer.alloc(0))
const right = manifestText(fields)
const without = (name: string) => manifestText({ ...fields, [name]: undefined })

for (const [what, parts] of texts({
  'is no text at all': '',
  'is not JSON': 'name: hand',
  'ends too early': right.slice(0, -1),
  'has something after its end': `${right}}`,
  'is JSON with a comment': right.replace('{', '{/* */'),
  'is not ASCII': Buffer.concat([Buffer.from(right), Buffer.from([0xff])]),
})) {
  test(`refuses a manifest that ${what}`, async (t) => {
    const shop = await workshop(t)
    const { refuses } = await loneHost(shop)
    const path = await shop.write('hand.plugin.cjs', handMade(parts))
    await refuses(path, 'malformed-manifest', /it is not JSON; build the file again/)
  })
}

test('refuses a manifest that is JSON and no object', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  for (const text of ['null', '[]', '"hand"', '1', 'true', `[${right}]`]) {
    const path = await shop.write('hand.plugin.cjs', handMade({ text }))
    await refuses(path, 'malformed-manifest', /it is not a JSON object; build the file again/)
  }
})

test('refuses a manifest of 100 MB, and says so in few words', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = join(shop.folder, 'huge.plugin.cjs')
  const file = await open(path, 'w')
  await file.write(`/*!plugin 1 ${'0'.repeat(64)} {"name":"`)
  const part = Buffer.alloc(10_000_000, 'a')
  for (let i = 0; i < 10; i++) await file.write(part)
  await file.write(`"}*/\n\n`)
  await file.close()
  const bySize = await refuses(path, 'too-large', /the limit is 67108864; bundle less, or raise maxBytes/)
  const byManifest = await refuses(path, 'manifest-too-large', /longer than 65536 bytes; export fewer/, {
    maxBytes: 200_000_000,
  })
  for (const { message, cause } of [bySize, byManifest]) {
    assert.ok(message.length < path.length + 200)
    assert.equal(cause, undefined)
  }
})

test('takes a first line of 65,536 bytes with its end, and no longer one', async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop)
  const fitting = (length: number) => {
    const missing = length - handMade({ manifest: { symbols: ['a'] } }).length + 1 + 1
    return handMade({ manifest: { symbols: ['a'.repeat(missing)] } })
  }
  const exact = fitting(65_536)
  assert.equal(exact.indexOf(10) + 1, 65_536)
  await platform.open(await shop.write('exact.plugin.cjs', exact))
  const longer = await shop.write('longer.plugin.cjs', fitting(65_537))
  await refuses(longer, 'manifest-too-large', /longer than 65536 bytes; export fewer symbols/)
})

for (const [what, parts] of texts({
  'carries __proto__': right.replace('{', '{"__proto__":{"polluted":true},'),
  'carries __proto__ at its end': right.replace(/\}$/, ',"__proto__":{"polluted":true}}'),
  'carries constructor': right.replace(/\}$/, ',"constructor":{"prototype":{"polluted":true}}}'),
  'has a field that the format does not know': right.replace(/\}$/, ',"main":"index.js"}'),
})) {
  test(`refuses a manifest that ${what}`, async (t) => {
    const shop = await workshop(t)
    const { refuses } = await loneHost(shop)
    const path = await shop.write('hand.plugin.cjs', handMade(parts))
    await refuses(path, 'malformed-manifest', /has an unknown field "[a-z_]+"; build the file again/)
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  })
}

test('refuses __proto__ inside a field', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const made = {
    host: right.replace('"host":{}', '"host":{"__proto__":"^1"}'),
    code: right.replace('"code":{', '"code":{"__proto__":{"bytes":0},'),
    map: right.replace(/\}$/, ',"map":{"__proto__":{"sha256":""}}}'),
  }
  for (const [field, text] of Object.entries(made)) {
    const path = await shop.write('hand.plugin.cjs', handMade({ text }))
    await refuses(path, 'malformed-manifest', new RegExp(`: ${field} .*; build the file again`))
  }
})

for (const [what, parts] of texts({
  'repeats a field': right.replace(/\}$/, ',"name":"hand"}'),
  'repeats a field with another value': right.replace('{', '{"name":"other",'),
  'repeats a field of a field': right.replace('"code":{', '"code":{"bytes":0,'),
  'has space in it': right.replace(':', ': '),
  'has space before it': ` ${right}`,
  'has space after it': `${right} `,
  'has a tab in it': right.replace(',', ',\t'),
  'has its fields in another order': `{"version":"1.0.0",${right.slice(1).replace('"version":"1.0.0",', '')}`,
  'escapes what needs no escape': right.replace('hand', '\\u0068and'),
  'escapes a slash': manifestText({ ...fields, imports: ['node:fs/promises'] }).replace('fs/', 'fs\\/'),
  'escapes with capital digits': manifestText({ ...fields, symbols: ['ú'] }).replace('\\u00fa', '\\u00FA'),
  'escapes a short form at length': manifestText({ ...fields, symbols: ['\n'] }).replace('\\n', '\\u000a'),
  'has a number in another form': right.replace('"bytes":0', '"bytes":0.0'),
  'has a number with an exponent': right.replace('"bytes":0', '"bytes":0e1'),
  'has a number below zero by its sign alone': right.replace('"bytes":0', '"bytes":-0'),
})) {
  test(`refuses a manifest that ${what}`, async (t) => {
    const shop = await workshop(t)
    const { refuses } = await loneHost(shop)
    const path = await shop.write('hand.plugin.cjs', handMade(parts))
    await refuses(path, 'malformed-manifest', /not written in the one way.*; build the file again/)
  })
}

test('refuses a manifest whose inner fields are in another order', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const { bytes, sha256 } = fields['code'] as Record<string, unknown>
  const swapped = await shop.write('a.plugin.cjs', handMade({ manifest: { code: { sha256, bytes } } }))
  await refuses(swapped, 'malformed-manifest', /code is not \{ bytes, sha256 \}/)
  const host = { 'b-package': '^1', 'a-package': '^1' }
  const unsorted = await shop.write('b.plugin.cjs', handMade({ manifest: { host } }))
  await refuses(unsorted, 'malformed-manifest', /host is not sorted/)
})

for (const name of Object.keys(fields)) {
  test(`refuses a manifest without ${name}`, async (t) => {
    const shop = await workshop(t)
    const { refuses } = await loneHost(shop)
    const path = await shop.write('hand.plugin.cjs', handMade({ text: without(name) }))
    await refuses(path, 'malformed-manifest', new RegExp(`it lacks ${name}; build the file again`))
  })
}

/** Values that a field cannot have, by field. */
const wrong: Readonly<Record<string, readonly unknown[]>> = {
  name: [
    null,
    1,
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/etc/x',
    'a\\b',
    'a..b',
    '-a',
    'a b',
    'a\0',
    'a:b',
    '~',
    'ä',
  ],
  version: [
    null,
    1,
    '',
    '1',
    '1.2',
    '1.2.3.4',
    'v1.2.3',
    '01.2.3',
    '1.2.3-',
    '1.2.3-01',
    '../1.2.3',
    ' 1.2.3',
  ],
  type: [null, 1, '', 'Client', '../x', 'a/b', '1st', 'a b', 'a.b'],
  symbols: [null, 'Hello', {}, [1], [''], ['b', 'a'], ['a', 'a'], [['a']]],
  host: [null, [], '^1', { a: 1 }, { a: 'nonsense' }, { '../x': '^1' }, { 'a/b': '^1' }, { '': '^1' }],
  node: [null, 20, 'nonsense', '>=20.19; rm', 'latest', '01', '1.x.3', '>=1.2.3+a..b'],
  imports: [null, 'node:fs', {}, [1], [''], ['node:fs', 'node:dns'], ['node:fs', 'node:fs']],
  code: [null, [], 'x', {}, { bytes: 0 }, { bytes: -1, sha256: '0' }, { bytes: 0, sha256: 'A'.repeat(64) }],
  map: [null, [], {}, { sha256: '' }, { sha256: 'x'.repeat(64) }, { sha256: '0'.repeat(64), bytes: 1 }],
}

for (const [field, values] of Object.entries(wrong)) {
  test(`refuses a manifest whose ${field} has a form that it cannot have`, async (t) => {
    const shop = await workshop(t)
    const { refuses } = await loneHost(shop)
    for (const value of values) {
      const path = await shop.write('hand.plugin.cjs', handMade({ manifest: { [field]: value } }))
      await refuses(path, 'malformed-manifest', new RegExp(`malformed: ${field} (is|has) .*; build the file`))
      await assert.rejects(inspect(path), { code: 'malformed-manifest', path })
    }
  })
}

test('tells all that is wrong with a manifest at once', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const made = handMade({ manifest: { name: '../x', version: '1', node: undefined, main: 'x' } })
  const { problems } = await refuses(
    await shop.write('hand.plugin.cjs', made),
    'malformed-manifest',
    /;.*;.*;/,
  )
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      'it has an unknown field "main"',
      'name is not a plugin name',
      'version is not a semantic version',
      'it lacks node',
    ],
  )
})

const paths = ['../x', 'a/b', '/etc/x', 'a\\b', '', 'a'.repeat(300), '..', '.', 'C:\\x', '@scope', '@a/../b']

test('refuses a name with a path in it, or of 300 characters, in a manifest', async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop)
  for (const name of paths) {
    const path = await shop.write('hand.plugin.cjs', handMade({ manifest: { name } }))
    const { message } = await refuses(path, 'malformed-manifest', /name is not a plugin name; build the file/)
    assert.ok(message.length < path.length + 100)
    assert.throws(() => platform.use(name), { code: 'invalid-name' })
  }
})

test('builds nothing under a name with a path in it, or of 300 characters', async (t) => {
  const shop = await workshop(t)
  const entry = await shop.write('source/hello.ts', `export const Hello = () => 'hello'\n`)
  const outDir = join(shop.folder, 'out')
  for (const name of paths) {
    await assert.rejects(build(entry, { name, outDir }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'invalid-name')
      assert.ok(error.message.includes(JSON.stringify(name)))
      assert.match(error.message, /use letters, digits/)
      return true
    })
  }
  await assert.rejects(build(entry, { version: '../1.0.0', outDir }), { code: 'invalid-version' })
  await assert.rejects(build(entry, { type: '../client', outDir }), { code: 'invalid-name' })
  await assert.rejects(inspect(outDir), { code: 'not-found' })
})

test('refuses a later format, and says which it is and which it reads', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  for (const format of ['2', '10', '999999999']) {
    const path = await shop.write('later.plugin.cjs', handMade({ format, text: '???' }))
    const says = new RegExp(`is of format ${format} and this host reads format 1: update the host, or build`)
    await refuses(path, 'newer-format', says)
  }
})
