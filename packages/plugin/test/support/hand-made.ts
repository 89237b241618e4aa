import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'

/*
 * Plugin files made from what docs/plugin-file.md says and nothing else, so that the package's own
 * reader and writer are held against the document and not against themselves. What a test wants
 * wrong it gives; all else is made right.
 */

export interface HandMade {
  /** Fields of the manifest in place of the defaults; `undefined` leaves a field out. */
  readonly manifest?: Readonly<Record<string, unknown>>
  /** The manifest text itself, in place of the one that the fields have. */
  readonly text?: string | Uint8Array
  readonly format?: string
  /** In place of the SHA-256 of the manifest text. */
  readonly digest?: string
  readonly code?: string | Uint8Array
  /** A private key in PEM form to sign with. */
  readonly signKey?: string
  /** The second line itself, without its line end. */
  readonly secondLine?: string
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The bytes of a plugin file; without arguments, of a plugin `hand` 1.0.0 that exports nothing. */
export function handMade(parts: HandMade = {}): Buffer {
  const code = Buffer.from(parts.code ?? '')
  const text = Buffer.from(parts.text ?? manifestText(fieldsFor(code, parts.manifest)))
  const line = Buffer.concat([
    Buffer.from(`/*!plugin ${parts.format ?? '1'} ${parts.digest ?? sha256(text)} `),
    text,
    Buffer.from('*/'),
  ])
  const second = parts.secondLine ?? (parts.signKey === undefined ? '' : signatureLine(line, parts.signKey))
  return Buffer.concat([line, Buffer.from(`\n${second}\n`), code])
}

/** Every field that a manifest must have, for `code`, under those given. */
export function fieldsFor(
  code: Uint8Array,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'hand',
    version: '1.0.0',
    symbols: [],
    host: {},
    node: '>=20.19',
    imports: [],
    code: { bytes: code.length, sha256: sha256(code) },
    ...given,
  }
}

const order = ['name', 'version', 'type', 'symbols', 'host', 'node', 'imports', 'code', 'map']

/** The text of a manifest: known fields in the order of the format, unknown ones after them. */
export function manifestText(fields: Readonly<Record<string, unknown>>): string {
  const names = [...order, ...Object.keys(fields).filter((name) => !order.includes(name))]
  return objectText(names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]))
}

function objectText(entries: readonly (readonly [string, unknown])[]): string {
  return `{${entries.map(([name, value]) => `${stringText(name)}:${valueText(value)}`).join(',')}}`
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return stringText(value)
  if (Array.isArray(value)) return `[${value.map(valueText).join(',')}]`
  if (typeof value === 'object' && value !== null) return objectText(Object.entries(value))
  return String(value)
}

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
}

function stringText(value: string): string {
  let text = ''
  for (let i = 0; i < value.length; i++) {
    const unit = value.charAt(i)
    if (unit === '/' && value.charAt(i - 1) === '*') text += '\\/'
    else if (short[unit] !== undefined) text += short[unit]
    else if (unit < ' ' || unit > '~') text += `\\u${value.charCodeAt(i).toString(16).padStart(4, '0')}`
    else text += unit
  }
  return `"${text}"`
}

/** The second line that signs `firstLine`. */
export function signatureLine(firstLine: Uint8Array, privateKey: string): string {
  const signature = sign(null, firstLine, createPrivateKey(privateKey)).toString('base64')
  return `//!sig ed25519 ${keyIdOf(privateKey)} ${signature}`
}

/** The id of the public key that belongs to `key`, a private or public one in PEM form. */
export function keyIdOf(key: string): string {
  return sha256(createPublicKey(key).export({ type: 'spki', format: 'der' })).slice(0, 16)
}

/** Where the two line ends of a file's header are. */
export function lineEnds(file: Buffer): readonly [number, number] {
  const first = file.indexOf(10)
  return [first, file.indexOf(10, first + 1)]
}
