import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { commandLine } from './support/command-line.js'

test('writes a private key that only its owner can read and a public key, and prints the key id', async (t) => {
  const { micrograft, read, path } = await commandLine(t)
  const { status, stdout, stderr } = await micrograft('keygen')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.match(stdout, /^key [0-9a-f]{16}\nmicrograft\.key {2}private: .*\nmicrograft\.pub {2}public: .*\n$/)
  assert.match(await read('micrograft.key'), /^-----BEGIN PRIVATE KEY-----\n/)
  assert.match(await read('micrograft.pub'), /^-----BEGIN PUBLIC KEY-----\n/)
  if (process.platform !== 'win32') assert.equal((await stat(path('micrograft.key'))).mode & 0o777, 0o600)
})

test('names the files after -o, in a folder that it makes, and prints JSON with --json', async (t) => {
  const { micrograft, path } = await commandLine(t)
  const { status, stdout } = await micrograft('keygen', '-o', 'keys/release', '--json')
  assert.equal(status, 0)
  const { keyId, ...files } = JSON.parse(stdout) as Record<string, string>
  assert.match(keyId as string, /^[0-9a-f]{16}$/)
  assert.deepEqual(files, { privateKey: path('keys/release.key'), publicKey: path('keys/release.pub') })
  for (const file of Object.values(files)) assert.ok(existsSync(file))
})

test('gives the files their usual names in a folder that -o names', async (t) => {
  const { micrograft, path } = await commandLine(t)
  const { stdout } = await micrograft('keygen', '-o', 'keys/', '--json')
  const { privateKey, publicKey } = JSON.parse(stdout) as Record<string, string>
  assert.deepEqual([privateKey, publicKey], [path('keys/micrograft.key'), path('keys/micrograft.pub')])
})

test('never overwrites a private key, and says so', async (t) => {
  const { micrograft, read, path } = await commandLine(t)
  assert.equal((await micrograft('keygen', '-o', 'k')).status, 0)
  const before = [await read('k.key'), await read('k.pub')]
  const { status, stdout, stderr } = await micrograft('keygen', '-o', 'k')
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.equal(
    stderr,
    `micrograft: ${path('k.key')} is there already, and a key is never overwritten; choose another name with -o [write-failed]\n`,
  )
  assert.deepEqual([await read('k.key'), await read('k.pub')], before)
})

test('leaves no half of a pair where the public key is there already', async (t) => {
  const { micrograft, read, write, path } = await commandLine(t)
  await write('k.pub', 'mine')
  const { status, stderr } = await micrograft('keygen', '-o', 'k')
  assert.equal(status, 1)
  assert.ok(stderr.includes(`${path('k.pub')} is there already`), stderr)
  assert.equal(await read('k.pub'), 'mine')
  assert.ok(!existsSync(path('k.key')))
})
