import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { generateKeys, inspect, PluginError } from '@micrograft/plugin'
import { fieldsFor, handMade, manifestText, sha256 } from './support/hand-made.js'
import { workshop } from './support/workshop.js'

/** The same cases on every machine and in every run. */
const seed = 20_260_701

/** Text of any UTF-16 code units, half surrogates too. */
const anyText = fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)), maxLength: 20 })
const sortedNames = (name: fc.Arbitrary<string>) =>
  fc.uniqueArray(name, { maxLength: 8 }).map((names) => names.sort())

const pluginName = fc
  .stringMatching(/^(@[a-z0-9][a-z0-9._-]{0,9}\/)?[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/)
  .filter((name) => !name.includes('..'))
const typeName = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
const number = fc.maxSafeNat()
const version = fc
  .tuple(
    fc.tuple(number, number, number).map((each) => each.join('.')),
    fc.constantFrom('', '-0', '-alpha', '-alpha.1', '-x-y.2', '--'),
    fc.constantFrom('', '+001', '+build.5'),
  )
  .map((parts) => parts.join(''))
const range = fc.constantFrom(
  '*',
  '',
  '^1.2',
  '>=1 <3',
  '1.x || 2.0.0',
  '1.2 - 1.4',
  '~0.1.2-beta',
  'x',
  '>=20.19',
)
const packageName = fc.stringMatching(/^(@[a-z0-9~-][a-z0-9._~-]{0,9}\/)?[A-Za-z0-9~-][A-Za-z0-9._~-]{0,12}$/)

const digest = fc.stringMatching(/^[0-9a-f]{64}$/)
const code = fc.oneof(fc.uint8Array({ maxLength: 200 }), anyText.map(Buffer.from))

const manifest = fc.record(
  {
    name: pluginName,
    version,
    type: typeName,
    symbols: sortedNames(fc.oneof(anyText, fc.constantFrom('*/', '"', '\\', '__proto__')).filter(Boolean)),
    host: fc
      .uniqueArray(fc.tuple(packageName, range), { maxLength: 5, selector: ([name]) => name })
      .map((entries) => Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))),
    node: range,
    imports: sortedNames(
      fc.oneof(fc.constantFrom('node:fs', 'node:net', '@acme/sdk'), anyText).filter(Boolean),
    ),
    map: digest.map((sha256) => ({ sha256 })),
  },
  { requiredKeys: ['name', 'version', 'symbols', 'host', 'node', 'imports'], noNullPrototype: true },
)

const { privateKey, publicKey, keyId } = generateKeys()

test('gives back every manifest that can be written, and knows a file by the hash of it', async (t) => {
  const { write } = await workshop(t)
  const property = fc.asyncProperty(manifest, code, fc.boolean(), async (given, code, signed) => {
    const bytes = Buffer.from(code)
    const fields = fieldsFor(bytes, { ...given })
    const file = handMade({ manifest: fields, code: bytes, ...(signed ? { signKey: privateKey } : {}) })
    const path = await write('any.plugin.cjs', file)
    const looked = await inspect(path, signed ? { keys: [publicKey] } : {})
    assert.deepEqual(looked.manifest, fields)
    assert.equal(looked.id, sha256(manifestText(fields)))
    assert.equal(looked.bytes, file.length)
    assert.deepEqual(looked.signature, signed ? { keyId, verified: true } : undefined)
  })
  await fc.assert(property, { seed, numRuns: 500 })
})

/** The code of the refusal of a file, which must be one. */
async function refusedAs(path: string): Promise<string> {
  try {
    await inspect(path)
  } catch (error) {
    assert.ok(error instanceof PluginError, String(error))
    assert.ok(error.message.includes(path))
    return error.code
  }
  throw new assert.AssertionError({ message: 'it was taken' })
}

test('takes no JSON for a manifest that is none', async (t) => {
  const { write } = await workshop(t)
  const property = fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), async (value) => {
    const path = await write('any.plugin.cjs', handMade({ text: JSON.stringify(value) }))
    assert.equal(await refusedAs(path), 'malformed-manifest')
  })
  await fc.assert(property, { seed, numRuns: 300 })
})

test('takes a field with any value for exactly what it is, or refuses it', async (t) => {
  const { write } = await workshop(t)
  const fields = fieldsFor(Buffer.alloc(0), { type: 'client', map: { sha256: '0'.repeat(64) } })
  const names = fc.constantFrom(...Object.keys(fields))
  const property = fc.asyncProperty(names, fc.jsonValue({ maxDepth: 2 }), async (name, value) => {
    const changed = { ...fields, [name]: value }
    const path = await write('any.plugin.cjs', handMade({ text: manifestText(changed) }))
    try {
      assert.deepEqual((await inspect(path)).manifest, changed)
    } catch (error) {
      assert.ok(error instanceof PluginError, String(error))
      assert.equal(error.code, 'malformed-manifest')
    }
  })
  await fc.assert(property, { seed, numRuns: 500 })
})

test('takes no bytes for a plugin file that are none', async (t) => {
  const { write } = await workshop(t)
  const beginning = fc.constantFrom('', '/*!plugin ', '/*!plugin 1 ', `/*!plugin 1 ${'0'.repeat(64)} {`)
  const property = fc.asyncProperty(beginning, fc.uint8Array({ maxLength: 300 }), async (start, rest) => {
    const path = await write('any.plugin.cjs', Buffer.concat([Buffer.from(start), rest]))
    const codes = ['empty', 'not-a-plugin', 'newer-format', 'truncated', 'manifest-mismatch']
    assert.ok(codes.includes(await refusedAs(path)))
  })
  await fc.assert(property, { seed, numRuns: 500 })
})
