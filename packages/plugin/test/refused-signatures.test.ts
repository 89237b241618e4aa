import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import {
  generateKeys,
  inspect,
  type PluginErrorCode,
  type SignaturePolicy,
  type Trust,
} from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { fieldsFor, handMade, lineEnds, manifestText, signatureLine } from './support/hand-made.js'
import { loneHost } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

const [ours, theirs] = [generateKeys(), generateKeys()]
const code = `exports.Hello = () => 'hello'\n`
const manifest = { symbols: ['Hello'] }

/** The second line of `file`, without its line end. */
function secondLine(file: Buffer): string {
  const [first, second] = lineEnds(file)
  return file.toString('latin1', first + 1, second)
}

const good = handMade({ manifest, code, signKey: ours.privateKey })
const signature = secondLine(good)
/** Another spelling of the same 64 bytes: the last digit's lower bits say nothing. */
const respelled = signature.replace(/.==$/, (end) => `${nextDigit(end.charAt(0))}==`)

function nextDigit(digit: string): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  return digits.charAt(digits.indexOf(digit) + 1)
}

type Verdict = PluginErrorCode | 'taken'

interface Case {
  readonly file: Buffer
  /** Under the policies `required`, `if-present` and `off`. */
  readonly verdicts: readonly [Verdict, Verdict, Verdict]
  readonly says?: RegExp
}

const signedAs = (line: string): Buffer => handMade({ manifest, code, secondLine: line })
const bad: Case['verdicts'] = ['bad-signature', 'bad-signature', 'taken']
const malformed: Case['verdicts'] = ['malformed-signature', 'malformed-signature', 'malformed-signature']
const changed = /was changed after signing; get it again from whoever signed it/

const cases: Readonly<Record<string, Case>> = {
  'a good signature by a trusted key': { file: good, verdicts: ['taken', 'taken', 'taken'] },
  'no signature': {
    file: handMade({ manifest, code }),
    verdicts: ['unsigned', 'taken', 'taken'],
    says: /is not signed, and this host requires it: sign it with `micrograft build --sign KEY`/,
  },
  'a good signature by a key that is not trusted': {
    file: handMade({ manifest, code, signKey: theirs.privateKey }),
    verdicts: ['untrusted-key', 'untrusted-key', 'taken'],
    says: new RegExp(
      `key ${theirs.keyId}, which .* \\(it trusts: ${ours.keyId}\\); add the public key, or sign`,
    ),
  },
  "a signature that names a trusted key and is another's": {
    file: signedAs(
      secondLine(handMade({ manifest, code, signKey: theirs.privateKey })).replace(theirs.keyId, ours.keyId),
    ),
    verdicts: bad,
    says: changed,
  },
  'a signature over another manifest': {
    file: handMade({ manifest: { ...manifest, version: '9.0.0' }, code, secondLine: signature }),
    verdicts: bad,
    says: changed,
  },
  'a signature over other code': {
    file: handMade({ manifest, code: `${code}// changed\n`, secondLine: signature }),
    verdicts: bad,
    says: changed,
  },
  'a signature over the manifest text alone': {
    file: signedAs(
      signatureLine(Buffer.from(manifestText(fieldsFor(Buffer.from(code), manifest))), ours.privateKey),
    ),
    verdicts: bad,
    says: changed,
  },
  'a signature of zeros': {
    file: signedAs(`//!sig ed25519 ${ours.keyId} ${Buffer.alloc(64).toString('base64')}`),
    verdicts: bad,
    says: changed,
  },
  'another spelling of a good signature': { file: signedAs(respelled), verdicts: malformed },
  'a signature of another algorithm': {
    file: signedAs(signature.replace('ed25519', 'ed448')),
    verdicts: malformed,
  },
  'a signature that is cut off': { file: signedAs(signature.slice(0, -1)), verdicts: malformed },
  'a signature with more after it': { file: signedAs(`${signature} `), verdicts: malformed },
  'a signature with a carriage return': { file: signedAs(`${signature}\r`), verdicts: malformed },
  'a signature with its key id in capitals': {
    file: signedAs(signature.replace(ours.keyId, 'ABCDEFABCDEFABCD')),
    verdicts: malformed,
  },
  'two signatures': { file: signedAs(`${signature}${signature}`), verdicts: malformed },
  'a second line of 300 characters': { file: signedAs('/'.repeat(300)), verdicts: malformed },
  'a space for a signature': { file: signedAs(' '), verdicts: malformed },
  'code for a signature': { file: signedAs(`throw new Error('it ran')`), verdicts: malformed },
  'code behind what begins as a signature': {
    file: signedAs(`//!sig ed25519\u2028throw new Error('it ran')`),
    verdicts: malformed,
  },
}

const policies: readonly SignaturePolicy[] = ['required', 'if-present', 'off']
const sayings: Readonly<Record<string, RegExp>> = {
  'malformed-signature': /is neither empty nor a signature; (sign the file|build the file) again/,
}

for (const [what, { file, verdicts, says }] of Object.entries(cases)) {
  for (const [i, policy] of policies.entries()) {
    const verdict = verdicts[i] as Verdict
    const does = verdict === 'taken' ? 'takes' : `refuses as ${verdict}`
    test(`where signatures are ${policy}, ${does}: ${what}`, async (t) => {
      const shop = await workshop(t)
      const trust: Trust = { keys: [ours.publicKey], policy }
      const { refuses, platform } = await loneHost(shop, { trust })
      const path = await shop.write('hand.plugin.cjs', file)
      if (verdict !== 'taken') {
        await refuses(path, verdict, says ?? (sayings[verdict] as RegExp))
        return
      }
      const plugin = await platform.open<{ Hello(): string }>(path)
      assert.equal(plugin.lookup('Hello')(), 'hello')
      assert.equal(plugin.signedBy, policy !== 'off' && file === good ? ours.keyId : undefined)
    })
  }
}

test('requires signatures where keys are given and no policy, and none where there are no keys', async (t) => {
  const shop = await workshop(t)
  const unsigned = await shop.write('hand.plugin.cjs', handMade({ manifest, code }))
  const { refuses } = await loneHost(shop, { trust: { keys: [ours.publicKey] } })
  await refuses(unsigned, 'unsigned', /sign it with `micrograft build --sign KEY`/)
  await shop.platform().open(unsigned)
  await assert.rejects(shop.platform().open(unsigned, { trust: { keys: [ours.publicKey] } }), {
    code: 'unsigned',
  })
})

test('trusts no key where signatures are required and no key is given', async (t) => {
  const shop = await workshop(t)
  const path = await shop.write('hand.plugin.cjs', good)
  const { refuses } = await loneHost(shop, { trust: { policy: 'required' } })
  await refuses(path, 'untrusted-key', /it trusts: none/)
})

test('asks a signature of each opening, also of content that is open already', async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop)
  const path = await shop.write('hand.plugin.cjs', handMade({ manifest, code }))
  const plugin = await platform.open(path)
  await refuses(path, 'unsigned', /is not signed/, { trust: { keys: [ours.publicKey] } })
  assert.equal(await platform.open(path), plugin)
})

test('verifies what build signs, and says who signed it', async (t) => {
  const shop = await workshop(t)
  const entry = await shop.write('source/hello.ts', `export const Hello = () => 'hello'\n`)
  const built = await build(entry, { outDir: shop.folder, signKey: ours.privateKey })
  const trust: Trust = { keys: [theirs.publicKey, ours.publicKey] }
  const plugin = await shop.platform({ trust }).open(built.path)
  assert.equal(plugin.signedBy, ours.keyId)
  const looked = await inspect(built.path, { keys: [ours.publicKey] })
  assert.deepEqual(looked.signature, { keyId: ours.keyId, verified: true })
  assert.equal((await inspect(built.path)).signature?.verified, false)
  await assert.rejects(inspect(built.path, { keys: [theirs.publicKey] }), {
    code: 'untrusted-key',
    path: built.path,
  })
})

test('refuses trusted keys that are no public ed25519 keys', async (t) => {
  const shop = await workshop(t)
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys: Readonly<Record<string, RegExp>> = {
    '': /not in PEM form; make one with `micrograft keygen`/,
    [ours.publicKey.slice(0, -40)]: /not in PEM form; make one with `micrograft keygen`/,
    [ours.privateKey]: /is a private key; give the public one/,
    [publicKey.export({ type: 'spki', format: 'pem' }).toString()]: /is rsa, not ed25519; make one with/,
  }
  for (const [key, says] of Object.entries(keys)) {
    const message = (error: Error & { code?: string }) =>
      error.code === 'malformed-key' && says.test(error.message)
    assert.throws(() => shop.platform({ trust: { keys: [key] } }), message)
    await assert.rejects(shop.platform().open('x', { trust: { keys: [ours.publicKey, key] } }), message)
  }
})

test('refuses a policy that is none', async (t) => {
  const shop = await workshop(t)
  const trust = { policy: 'sometimes' as SignaturePolicy }
  assert.throws(() => shop.platform({ trust }), /"sometimes" is none of required, if-present, off/)
})
