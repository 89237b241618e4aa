import { hash, timingSafeEqual } from 'node:crypto'
import { PluginError } from '../errors.js'
import { formatManifest, parseManifest, type Manifest } from './manifest.js'

/*
 * A plugin file begins with two lines:
 *
 *   /*!plugin 1 <SHA-256 of the manifest text, hexadecimal> <manifest text>*\/
 *   //!sig ed25519 <key id> <signature, base64>          or an empty line
 *
 * and all that follows is code. Both lines are comments, so the whole file is JavaScript whose line
 * numbers are those on disk. Line 2 is there also when it is empty: signing moves no line.
 */

const magic = '/*!plugin '
const format = '1'
const end = '*/'
const digestLength = 64

/** Longest first line, in bytes, its line end included. */
const maxManifestBytes = 65_536

/** Longest second line, in bytes, its line end included. */
const maxSignatureLine = 256

export interface Header {
  readonly manifest: Manifest
  /** What the plugin is, wherever it lies and whoever signed it: the SHA-256 of its manifest text, which holds that of its code. */
  readonly id: string
  /** The bytes that a signature covers: the first line without its line end. */
  readonly signed: Buffer
  /** The second line without its line end. */
  readonly signature: string
  /** Where code begins, in bytes. */
  readonly codeStart: number
}

/**
 * Reads the header from the beginning of a file; `head` may be the whole file.
 *
 * @throws `empty`, `not-a-plugin`, `newer-format`, `manifest-too-large`, `manifest-mismatch`,
 *   `malformed-manifest`, `malformed-signature` or `truncated`.
 */
export function readHeader(head: Buffer, path: string): Header {
  if (head.length === 0)
    throw new PluginError('empty', `${path} is empty; build it again, or copy it again`, { path })
  if (head.toString('latin1', 0, magic.length) !== magic) throw notAPlugin(head, path)

  const firstEnd = head.subarray(0, maxManifestBytes).indexOf(10)
  const line = head.toString(
    'latin1',
    magic.length,
    firstEnd < 0 ? Math.min(head.length, magic.length + 32) : firstEnd,
  )
  const version = /^(\d{1,9}) /.exec(line)?.[1]
  if (version === undefined) throw notAPlugin(head, path)
  if (version !== format) throw newerFormat(path, version)
  if (firstEnd < 0) throw head.length < maxManifestBytes ? truncatedHeader(path) : manifestTooLarge(path)

  const digestAt = format.length + 1
  const textAt = digestAt + digestLength + 1
  const id = line.slice(digestAt, digestAt + digestLength)
  if (!/^[0-9a-f]{64}$/.test(id) || line[textAt - 1] !== ' ' || !line.endsWith(end))
    throw manifestMismatch(path)
  const text = head.subarray(magic.length + textAt, firstEnd - end.length)
  if (!sameBytes(Buffer.from(id, 'hex'), hash('sha256', text, 'buffer'))) throw manifestMismatch(path)

  const secondEnd = head.subarray(firstEnd + 1, firstEnd + 1 + maxSignatureLine).indexOf(10)
  if (secondEnd < 0) {
    if (head.length - firstEnd <= maxSignatureLine) throw truncatedHeader(path)
    throw new PluginError(
      'malformed-signature',
      `the second line of ${path} is neither empty nor a signature; build the file again`,
      { path },
    )
  }
  return {
    manifest: parseManifest(text.toString('latin1'), path),
    id,
    signed: head.subarray(0, firstEnd),
    signature: head.toString('latin1', firstEnd + 1, firstEnd + 1 + secondEnd),
    codeStart: firstEnd + 1 + secondEnd + 1,
  }
}

/** The first line for `manifest`, without its line end. */
export function formatFirstLine(manifest: Manifest): string {
  const text = formatManifest(manifest)
  return `${magic}${format} ${hash('sha256', text)} ${text}${end}`
}

/** How many lines come before the code. */
export const headerLines = 2

function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function notAPlugin(head: Buffer, path: string): PluginError {
  const what = head.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))
    ? 'it is a native (ELF) library; Go plugins and addons cannot be opened'
    : 'it does not begin with /*!plugin'
  return new PluginError(
    'not-a-plugin',
    `${path} is not a plugin file: ${what}; make one with \`micrograft build\``,
    { path },
  )
}

function newerFormat(path: string, version: string): PluginError {
  return new PluginError(
    'newer-format',
    `${path} is of format ${version} and this host reads format ${format}: update the host, or build the file with an older builder`,
    { path },
  )
}

function manifestTooLarge(path: string): PluginError {
  return new PluginError(
    'manifest-too-large',
    `the manifest of ${path} is longer than ${maxManifestBytes} bytes; export fewer symbols`,
    { path },
  )
}

function manifestMismatch(path: string): PluginError {
  return new PluginError(
    'manifest-mismatch',
    `the manifest of ${path} is not the one that was built: it was changed or damaged; build the file again, or copy it again`,
    { path },
  )
}

function truncatedHeader(path: string): PluginError {
  return new PluginError('truncated', `${path} ends within its header; copy it again`, { path })
}
