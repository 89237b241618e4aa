import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { keyIdOf, lineEnds, manifestText, sha256 } from './hand-made.js'

/** A plugin file as docs/plugin-file.md has it read. */
export interface HandRead {
  readonly manifest: Readonly<Record<string, unknown>>
  readonly id: string
  readonly code: Buffer
  /** The key that signed it, where it is one of those asked about. */
  readonly signedBy: string | undefined
}

/** Reads a plugin file by what the document says and nothing else; an assertion fails where it is none. */
export function readByHand(file: Buffer, publicKeys: readonly string[] = []): HandRead {
  const [firstEnd, secondEnd] = lineEnds(file)
  assert.ok(firstEnd < 65_536 && secondEnd - firstEnd <= 256)
  const firstLine = file.toString('latin1', 0, firstEnd)
  const first = /^\/\*!plugin 1 ([0-9a-f]{64}) (\{[ -~]*\})\*\/$/.exec(firstLine)
  assert.ok(first)
  const [, id = '', text = ''] = first
  assert.equal(sha256(text), id)
  const manifest = JSON.parse(text) as Record<string, unknown>
  assert.equal(manifestText(manifest), text)

  const code = file.subarray(secondEnd + 1)
  assert.deepEqual(manifest['code'], { bytes: code.length, sha256: sha256(code) })

  const secondLine = file.toString('latin1', firstEnd + 1, secondEnd)
  const signature = /^\/\/!sig ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)$/.exec(secondLine)
  assert.ok(signature !== null || secondLine === '')
  const bytes = Buffer.from(signature?.[2] ?? '', 'base64')
  assert.equal(bytes.toString('base64'), signature?.[2] ?? '')
  const key = publicKeys.find((each) => keyIdOf(each) === signature?.[1])
  if (key !== undefined) assert.ok(verify(null, file.subarray(0, firstEnd), createPublicKey(key), bytes))
  return { manifest, id, code, signedBy: key === undefined ? undefined : signature?.[1] }
}
