import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspect, pluginErrorCodes } from '@micrograft/plugin'
import { handMade, keyIdOf, sha256 } from './support/hand-made.js'
import { readByHand } from './support/hand-reader.js'
import { refusal } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

const document = readFileSync(fileURLToPath(new URL('../../../docs/plugin-file.md', import.meta.url)), 'utf8')

/** The text of the first block in `language` with `part` in it. */
function block(language: string, part: string): string {
  const blocks = [...document.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
  const found = blocks.find(([, name, text]) => name === language && text?.includes(part))
  assert.ok(found?.[2], `there is no ${language} block with ${part}`)
  return found[2]
}

/** The part of the document under a heading. */
function section(heading: string): string {
  const [, text] = document.split(new RegExp(`^#+ ${heading}\\n`, 'm'))
  assert.ok(text, `there is no heading ${heading}`)
  return text.split(/^#/m)[0] as string
}

/** The rows of the first table under a heading, without its head. */
function rows(heading: string): string[][] {
  const lines = section(heading).split('\n')
  const start = lines.findIndex((line) => line.startsWith('|'))
  const table = lines.slice(start, lines.indexOf('', start))
  return table.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** What stands in backticks. */
function quoted(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, text]) => text as string)
}

const file = Buffer.from(block('js', '/*!plugin'))
const map = block('json', 'mappings')
const publicKey = block('text', 'PUBLIC KEY')

/** RFC 8032 §7.1, test 1. */
const privateKey = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
})
  .export({ type: 'pkcs8', format: 'pem' })
  .toString()

test('has the very bytes for an example that its description makes', () => {
  const { manifest, code } = readByHand(file)
  const made = handMade({
    manifest: {
      ...manifest,
      code: { bytes: code.length, sha256: sha256(code) },
      map: { sha256: sha256(JSON.stringify({ ...(JSON.parse(map) as object), sourceRoot: '' })) },
    },
    code,
    signKey: privateKey,
  })
  assert.equal(file.toString(), made.toString())
})

test('has an example that opens, signed by the key that it names', async (t) => {
  const { write, platform } = await workshop(t)
  const path = await write('hello-1.0.0.plugin.cjs', file)
  const { id, manifest, signedBy } = readByHand(file, [publicKey])
  const plugin = await platform({ trust: { keys: [publicKey] } }).open<{ Hello(name: string): string }>(path)
  assert.equal(plugin.lookup('Hello')('John'), 'hello John')
  assert.deepEqual([plugin.id, plugin.signedBy, plugin.manifest], [id, signedBy, manifest])
  assert.equal(signedBy, keyIdOf(publicKey))
  const { signature } = await inspect(path, { keys: [publicKey] })
  assert.deepEqual(signature, { keyId: signedBy, verified: true })
})

test('has a source map for its example that leads to the source', async (t) => {
  const { write, platform } = await workshop(t)
  const stackWith = async (folder: string, mapText: string): Promise<string> => {
    await write(`${folder}/hello-1.0.0.plugin.cjs.map`, mapText)
    const path = await write(`${folder}/hello-1.0.0.plugin.cjs`, file)
    const plugin = await platform().open<{ Hello(name: string): string }>(path)
    try {
      return plugin.lookup('Hello')('')
    } catch (error) {
      return String((error as Error).stack)
    }
  }
  assert.match(await stackWith('right', map), /whom\?\n +at .*\bhello\.ts:4:1\)/)
  const moved = map.replace('"sourceRoot":""', '"sourceRoot":"../source/"')
  assert.match(await stackWith('moved', moved), /\bhello\.ts:4:1\)/)
  const other = map.replace('AAEA', 'AAGA')
  assert.notEqual(other, map)
  assert.match(await stackWith('other', other), /hello-1\.0\.0\.plugin\.cjs\?\w{8}:7:\d+\)/)
})

test('names the fields of a manifest in their order', async (t) => {
  const { write } = await workshop(t)
  const fields = rows('The manifest').map(([field, needed]) => [quoted(field)[0], needed === 'yes'] as const)
  const { manifest, code } = readByHand(file)
  assert.deepEqual(
    Object.keys(manifest),
    fields.map(([name]) => name),
  )
  for (const [name = '', needed] of fields) {
    const path = await write(
      'without.plugin.cjs',
      handMade({ manifest: { ...manifest, [name]: undefined }, code }),
    )
    if (needed) await assert.rejects(inspect(path), { code: 'malformed-manifest' }, name)
    else await inspect(path)
  }
})

test('shows texts of strings that are taken so and no other way', async (t) => {
  const { write } = await workshop(t)
  const texts = rows('The one text of a manifest').flatMap(([, text]) => quoted(text))
  assert.ok(texts.length >= 5)
  for (const text of texts) {
    const whole = handMade({ manifest: { symbols: [JSON.parse(text) as string] } })
    assert.ok(whole.includes(text), text)
    await inspect(await write('text.plugin.cjs', whole))
  }
})

test('writes ranges that are ranges', async (t) => {
  const { write } = await workshop(t)
  const ranges = rows('Ranges').flatMap(([written]) => quoted(written))
  assert.ok(ranges.length > 20)
  for (const range of ranges) {
    const path = await write('range.plugin.cjs', handMade({ manifest: { node: range, host: { a: range } } }))
    await inspect(path)
  }
})

test('names all that code is given, and nothing that it may declare itself', async (t) => {
  const { write, platform } = await workshop(t)
  const names = rows('Running the code').flatMap(([parameter]) => quoted(parameter))
  const code = `exports.given = [${names.join()}]\nexports.count = arguments.length\n`
  const plugin = await platform().open(await write('given.plugin.cjs', handMade({ code })))
  assert.equal(plugin.lookup('count'), names.length)
  assert.equal((plugin.lookup('given') as unknown[]).includes(undefined), false)
  for (const name of names) {
    const made = handMade({ code: `let ${name} = 1\n` })
    const error = await refusal(platform(), await write('declared.plugin.cjs', made))
    assert.match(error.message, new RegExp(`'${name}' has already been declared`))
  }
})

test('has every refusal of a file in the order of its checks', () => {
  const named = new Set(quoted(section('The order of checks')))
  const codes = Object.keys(pluginErrorCodes)
  const refusals = codes
    .slice(0, codes.indexOf('version-taken') + 1)
    .filter((code) => code !== 'malformed-key')
  for (const code of refusals) assert.ok(named.has(code), code)
})
