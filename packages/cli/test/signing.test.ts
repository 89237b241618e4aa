import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'
import { commandLine, type CommandLine } from './support/command-line.js'

const file = 'hello.plugin.cjs'

interface Signed extends CommandLine {
  readonly keyId: string
}

/** A folder with the keys `k` and `other`, and a plugin file that is signed with `k`. */
async function signed(t: TestContext): Promise<Signed> {
  const line = await commandLine(t)
  await line.write('hello.ts', `export function Hello(): string { return 'hello' }\n`)
  const made = await line.micrograft('keygen', '-o', 'k', '--json')
  assert.equal((await line.micrograft('keygen', '-o', 'other')).status, 0)
  const built = await line.micrograft('build', 'hello.ts', '-o', file, '--sign', 'k.key', '--json')
  assert.equal(built.status, 0, built.stderr)
  assert.equal((JSON.parse(built.stdout) as { signed: boolean }).signed, true)
  return { ...line, keyId: (JSON.parse(made.stdout) as { keyId: string }).keyId }
}

async function changed(line: CommandLine, change: (text: string) => string): Promise<void> {
  const text = (await readFile(line.path(file))).toString('latin1')
  const after = change(text)
  assert.notEqual(after, text)
  await line.write(file, Buffer.from(after, 'latin1'))
}

test('verifies what it signed, and tells verified from not looked at', async (t) => {
  const { micrograft, keyId } = await signed(t)
  const verified = await micrograft('inspect', file, '--verify', 'k.pub')
  assert.equal(verified.status, 0, verified.stderr)
  assert.ok(verified.stdout.endsWith(`signature   key ${keyId}, verified\n`), verified.stdout)
  const looked = await micrograft('inspect', file)
  assert.equal(looked.status, 0)
  assert.ok(looked.stdout.endsWith(`signature   key ${keyId}, not verified\n`), looked.stdout)
})

test('verifies against any one of several public keys', async (t) => {
  const { micrograft, keyId } = await signed(t)
  for (const args of [
    ['--verify', 'other.pub', 'k.pub'],
    ['--verify', 'other.pub', '--verify', 'k.pub'],
  ]) {
    const { status, stdout } = await micrograft('inspect', file, '--json', ...args)
    assert.equal(status, 0)
    assert.deepEqual((JSON.parse(stdout) as { signature: unknown }).signature, { keyId, verified: true })
  }
})

test('refuses a key that did not sign the file', async (t) => {
  const { micrograft, keyId } = await signed(t)
  const { status, stdout, stderr } = await micrograft('inspect', file, '--verify', 'other.pub')
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.ok(stderr.includes(keyId), stderr)
  assert.match(stderr, /\[untrusted-key\]\n$/)
})

test('refuses a file that is not signed where a signature is asked for', async (t) => {
  const { micrograft } = await signed(t)
  assert.equal((await micrograft('build', 'hello.ts', '-o', file)).status, 0)
  const { status, stderr } = await micrograft('inspect', file, '--verify', 'k.pub')
  assert.equal(status, 1)
  assert.match(stderr, /\[unsigned\]\n$/)
})

for (const [what, code, change] of [
  [
    'one letter of the code',
    'code-mismatch',
    (text: string) => text.replace('return "hello"', 'return "jello"'),
  ],
  ['one letter of the manifest', 'manifest-mismatch', (text: string) => text.replace('0.0.1', '0.0.2')],
  [
    'one letter of the signature',
    'bad-signature',
    (text: string) => text.replace(/(sig ed25519 \w{16} )(.)/, (_, a: string, b: string) => a + flip(b)),
  ],
  ['its last byte', 'truncated', (text: string) => text.slice(0, -1)],
] as const) {
  test(`refuses a signed file of which ${what} was changed, with status 1`, async (t) => {
    const line = await signed(t)
    await changed(line, change)
    const { status, stdout, stderr } = await line.micrograft('inspect', file, '--verify', 'k.pub')
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.ok(stderr.includes(line.path(file)), stderr)
    assert.ok(stderr.endsWith(`[${code}]\n`), stderr)
  })
}

function flip(letter: string): string {
  return letter === 'A' ? 'B' : 'A'
}

test('names a key file that is not there', async (t) => {
  const { micrograft } = await signed(t)
  for (const args of [
    ['build', 'hello.ts', '--sign', 'none.key'],
    ['inspect', file, '--verify', 'none.key'],
  ]) {
    const { status, stderr } = await micrograft(...args)
    assert.equal(status, 1)
    assert.match(stderr, /none\.key.*\[not-found\]\n$/)
  }
})

test('names a file that holds the wrong kind of key', async (t) => {
  const { micrograft, path } = await signed(t)
  const { stderr } = await micrograft('inspect', file, '--verify', 'k.key', '--json')
  assert.equal((JSON.parse(stderr) as { error: { path: string } }).error.path, path('k.key'))
  for (const args of [
    ['build', 'hello.ts', '--sign', 'k.pub'],
    ['inspect', file, '--verify', 'k.key'],
  ]) {
    const { status, stderr } = await micrograft(...args)
    assert.equal(status, 1)
    assert.match(stderr, /^micrograft: k\.(pub|key): .*\[malformed-key\]\n$/)
  }
})
