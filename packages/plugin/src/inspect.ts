import { filePath } from './file-path.js'
import type { Manifest } from './format/manifest.js'
import { parsePluginFile } from './format/plugin-file.js'
import { checkSignature, readSignature, trustKeys } from './format/signature.js'
import { readPluginBytes, defaultMaxBytes } from './load/read-file.js'
import { requireCount, requireTexts, resolveOptions } from './options.js'

export interface InspectOptions {
  /** Public ed25519 keys in PEM form; where given, the file must be signed with one of them. */
  readonly keys?: readonly string[] | undefined
  /** Largest file, in bytes. @default 67_108_864 (64 MiB) */
  readonly maxBytes?: number | undefined
}

/** What a plugin file says of itself, checked but for who signed it. */
export interface Inspection {
  readonly path: string
  readonly manifest: Manifest
  /** SHA-256 of its manifest text: what tells the plugin from every other. */
  readonly id: string
  /** Size of the whole file, in bytes. */
  readonly bytes: number
  /** The key that it says it is signed with; whether that is so was checked where `verified` is true. */
  readonly signature: { readonly keyId: string; readonly verified: boolean } | undefined
}

/**
 * Reads a plugin file and holds its code against its manifest, without running any of it.
 *
 * @throws the codes of `docs/errors.md` for files, from `not-found` to `code-mismatch`; where `keys`
 *   are given, those for signatures too; `invalid-option`.
 */
export async function inspect(path: string | URL, options?: InspectOptions): Promise<Inspection> {
  const { keys, maxBytes } = resolveOptions(
    'the options of inspect',
    { keys: undefined, maxBytes: defaultMaxBytes },
    options,
  )
  requireCount('maxBytes', maxBytes, 1)
  requireTexts('keys', keys)
  const absolute = filePath(path)
  const file = parsePluginFile(
    await readPluginBytes(absolute, { maxBytes, directories: undefined, ownerOnly: false }),
    absolute,
  )
  if (keys) checkSignature(file, trustKeys(keys), 'required', absolute)
  const signature = readSignature(file, absolute)
  return {
    path: absolute,
    manifest: file.manifest,
    id: file.id,
    bytes: file.bytes.length,
    signature: signature && { keyId: signature.keyId, verified: keys !== undefined },
  }
}
