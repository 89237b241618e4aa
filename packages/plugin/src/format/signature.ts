import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { PluginError } from '../errors.js'
import type { Header } from './header.js'
import { keyId, parsePrivateKey, parsePublicKey } from './keys.js'

/**
 * When a signature is asked for: `required`, every file must have one by a trusted key;
 * `if-present`, a file without is taken, but one that is there must be good and trusted; `off`, no
 * key is asked for, and only the form of a signature that is there is looked at.
 */
export type SignaturePolicy = 'required' | 'if-present' | 'off'

/** An ed25519 signature (RFC 8032) over a file's first line. */
export interface Signature {
  readonly keyId: string
  readonly bytes: Buffer
}

const pattern = /^\/\/!sig ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)$/

/**
 * The signature of a file, or `undefined` where it has none.
 * @throws `malformed-signature`
 */
export function readSignature({ signature }: Header, path: string): Signature | undefined {
  if (signature === '') return undefined
  const match = pattern.exec(signature)
  const bytes = Buffer.from(match?.[2] ?? '', 'base64')
  // Base64 has several spellings of the last bits: only the one that we write counts.
  if (!match || bytes.toString('base64') !== match[2]) {
    throw new PluginError(
      'malformed-signature',
      `the second line of ${path} is neither empty nor a signature; sign the file again`,
      { path },
    )
  }
  return { keyId: match[1] as string, bytes }
}

/** The second line that signs `firstLine`, without its line end. */
export function formatSignature(firstLine: Buffer, privateKeyPem: string): string {
  const key = parsePrivateKey(privateKeyPem)
  return `//!sig ed25519 ${keyId(createPublicKey(key))} ${sign(null, firstLine, key).toString('base64')}`
}

/** Public keys by their ids. */
export type TrustedKeys = ReadonlyMap<string, KeyObject>

/** @throws `malformed-key` */
export function trustKeys(pems: readonly string[]): TrustedKeys {
  return new Map(pems.map(parsePublicKey).map((key) => [keyId(key), key]))
}

/**
 * Holds a file's signature against a policy.
 *
 * @returns the id of the key that signed the file, where that was checked.
 * @throws `malformed-signature`, `unsigned`, `untrusted-key` or `bad-signature`.
 */
export function checkSignature(
  header: Header,
  keys: TrustedKeys,
  policy: SignaturePolicy,
  path: string,
): string | undefined {
  if (policy === 'off') return undefined
  const signature = readSignature(header, path)
  if (!signature) {
    if (policy === 'if-present') return undefined
    throw new PluginError(
      'unsigned',
      `${path} is not signed, and this host requires it: sign it with \`micrograft build --sign KEY\``,
      { path },
    )
  }
  const key = keys.get(signature.keyId)
  if (!key) {
    const known = [...keys.keys()].join(', ') || 'none'
    throw new PluginError(
      'untrusted-key',
      `${path} is signed with key ${signature.keyId}, which this host does not trust (it trusts: ${known}); add the public key, or sign with a trusted one`,
      { path },
    )
  }
  if (!verify(null, header.signed, key, signature.bytes)) {
    throw new PluginError(
      'bad-signature',
      `the signature of ${path} is not by key ${signature.keyId} over this manifest: the file was changed after signing; get it again from whoever signed it`,
      { path },
    )
  }
  return signature.keyId
}
