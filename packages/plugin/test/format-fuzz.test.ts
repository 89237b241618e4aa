import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { generateKeys, PluginError } from '@micrograft/plugin'
// The reader itself: as many files through the file system would take minutes, and it is the same
// reader that `open` and `inspect` have.
import { parsePluginFile, type PluginFile } from '../dist/format/plugin-file.js'
import { checkSignature, trustKeys } from '../dist/format/signature.js'
import { handMade, lineEnds, manifestText, sha256, type HandMade } from './support/hand-made.js'
import { mutate, pick, seededRandom } from './support/mutate.js'

const [ours, theirs] = [generateKeys(), generateKeys()]
const trusted = trustKeys([ours.publicKey])

const plugins: readonly HandMade[] = [
  {},
  { manifest: { symbols: ['Hello'] }, code: `exports.Hello = () => 'hello'\n` },
  { manifest: { symbols: ['Hello'] }, code: `exports.Hello = () => 'Hello'\n` },
  {
    manifest: {
      name: '@acme/xrpc',
      version: '1.2.3-beta.4+build.5',
      type: 'client',
      symbols: ['"quoted" */ \\', 'Hello', 'größe', '\ud800', '\u2028'].sort(),
      host: { '@acme/sdk': '^1.2 || >=3 <4', 'left-pad': '*' },
      imports: ['@acme/sdk', 'node:fs'],
      map: { sha256: sha256('map') },
    },
    code: `'use strict'\nexports.größe = '\u2028'\n`.repeat(3),
  },
]
/** Each plugin unsigned, signed by a trusted key, and by another. */
const corpus = plugins.flatMap((parts) => [
  handMade(parts),
  handMade({ ...parts, signKey: ours.privateKey }),
  handMade({ ...parts, signKey: theirs.privateKey }),
])
const signedByUs = corpus.filter((_, i) => i % 3 === 1)

/** What `step` gives, or `undefined` where it refused as it should. */
function unlessRefused<T>(bytes: Buffer, step: () => T): T | undefined {
  try {
    return step()
  } catch (error) {
    if (error instanceof PluginError && error.message.length < 2000) return undefined
    throw new assert.AssertionError({ message: `crashed at ${bytes.toString('base64')}: ${String(error)}` })
  }
}

interface Reading {
  /** The file, where it is taken without a signature. */
  readonly file: PluginFile | undefined
  /** Whether it is taken where a signature is required. */
  readonly signed: boolean
}

function read(bytes: Buffer): Reading {
  const file = unlessRefused(bytes, () => parsePluginFile(bytes, '/fuzz.plugin.cjs'))
  const signed =
    file && unlessRefused(bytes, () => checkSignature(file, trusted, 'required', '/fuzz.plugin.cjs'))
  return { file, signed: signed !== undefined }
}

function isOneOf(bytes: Buffer, files: readonly Buffer[]): boolean {
  return files.some((file) => file.equals(bytes))
}

/** A stack for each of so many refusals would take most of the time. */
function withoutStacks(t: TestContext): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  t.after(() => (Error.stackTraceLimit = stackTraceLimit))
}

/** A file without its second line, which no hash covers. */
function covered(file: Buffer): Buffer {
  const [first, second] = lineEnds(file)
  return Buffer.concat([file.subarray(0, first + 1), file.subarray(second)])
}

function secondLine(file: Buffer): string {
  const [first, second] = lineEnds(file)
  return file.toString('latin1', first + 1, second)
}

const coveredCorpus = corpus.map(covered)

test('takes each file that the fuzz begins with', () => {
  for (const bytes of corpus) {
    const { file, signed } = read(bytes)
    assert.ok(file)
    assert.equal(signed, isOneOf(bytes, signedByUs))
  }
})

test('takes none of 150,000 mutated files, but those that came out as they were', (t) => {
  withoutStacks(t)
  const random = seededRandom(1)
  let taken = 0
  for (let i = 0; i < 150_000; i++) {
    const mutated = mutate(pick(random, corpus), random, corpus)
    const { file, signed } = read(mutated)
    if (!file) continue
    taken++
    assert.ok(isOneOf(covered(mutated), coveredCorpus), mutated.toString('base64'))
    assert.match(secondLine(mutated), /^(\/\/!sig ed25519 [0-9a-f]{16} [A-Za-z0-9+/]{86}==)?$/)
    if (signed) assert.ok(isOneOf(mutated, signedByUs), mutated.toString('base64'))
  }
  assert.ok(taken < 15_000, `${taken} mutations changed nothing`)
})

/** What manifests are made of, and what else could be put into one. */
const tokens = [
  String.raw`{ } [ ] , : " \ / */ /* null true -1 1e3 0.5 9007199254740993 "" "a" [] {} . .. @`.split(' '),
  String.raw`"__proto__": "__proto__":{}, "constructor": "name": "name":"hand", "code": "bytes":0,`.split(
    ' ',
  ),
  String.raw`\u0061 \u002a\u002f \ud800 \n`.split(' '),
  [' ', '\t', '\u0080', '\0'],
].flat()

/** A manifest text with some of it taken out, doubled, or replaced by what JSON is made of. */
function mutateText(
  text: Buffer,
  random: ReturnType<typeof seededRandom>,
  others: readonly Buffer[],
): Buffer {
  let output = text
  for (let left = 1 + random(3); left > 0; left--) {
    if (random(2) === 0) {
      output = mutate(output, random, others)
      continue
    }
    const at = random(output.length + 1)
    const token = Buffer.from(pick(random, tokens))
    output = Buffer.concat([output.subarray(0, at), token, output.subarray(at + random(3))])
  }
  return output
}

/** The manifest text of a file. */
function textOf(file: Buffer): Buffer {
  return file.subarray('/*!plugin 1 '.length + 64 + 1, lineEnds(file)[0] - '*/'.length)
}

test('takes none of 100,000 manifests that were mutated and hashed anew, but in the one text of what they say', (t) => {
  withoutStacks(t)
  const random = seededRandom(2)
  const texts = corpus.map(textOf)
  let taken = 0
  for (let i = 0; i < 100_000; i++) {
    const original = pick(random, corpus)
    const text = mutateText(textOf(original), random, texts)
    const code = original.subarray(lineEnds(original)[1] + 1)
    const forged = handMade({ text, secondLine: secondLine(original), code })
    const { file, signed } = read(forged)
    if (file) {
      taken++
      const { manifest } = file
      assert.equal(manifestText(manifest as unknown as Record<string, unknown>), text.toString('latin1'))
      assert.equal(manifest.code.sha256, sha256(code))
      assert.equal(forged.indexOf('*/'), forged.indexOf(10) - '*/'.length)
      assert.equal(Object.getPrototypeOf(manifest), Object.prototype)
    }
    if (signed) assert.ok(isOneOf(forged, signedByUs), forged.toString('base64'))
  }
  assert.ok(taken > 1000, `only ${taken} were still manifests`)
  assert.deepEqual(Object.keys(Object.prototype), [])
})
