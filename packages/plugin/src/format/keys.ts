import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { PluginError } from '../errors.js'

/** An ed25519 pair in PEM form: PKCS #8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280 §4.1). */
export interface KeyPair {
  readonly privateKey: string
  readonly publicKey: string
  /** What a signature names the key by. */
  readonly keyId: string
}

export function generateKeys(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: keyId(publicKey),
  }
}

/** The first 16 hexadecimal digits of the SHA-256 of the key's SubjectPublicKeyInfo in DER form. */
export function keyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16)
}

/** @throws `malformed-key` */
export function parsePrivateKey(pem: string): KeyObject {
  return parseKey('private', pem, createPrivateKey)
}

/** @throws `malformed-key` */
export function parsePublicKey(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY')) {
    throw new PluginError(
      'malformed-key',
      'a trusted key is a private key; give the public one, and keep the private one private',
    )
  }
  return parseKey('public', pem, createPublicKey)
}

function parseKey(kind: string, pem: string, parse: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject
  try {
    key = parse(pem)
  } catch (cause) {
    throw new PluginError(
      'malformed-key',
      `the ${kind} key is not in PEM form; make one with \`micrograft keygen\``,
      { cause },
    )
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new PluginError(
      'malformed-key',
      `the ${kind} key is ${key.asymmetricKeyType ?? 'symmetric'}, not ed25519; make one with \`micrograft keygen\``,
    )
  }
  return key
}
