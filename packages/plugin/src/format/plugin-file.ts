import { hash } from 'node:crypto'
import { PluginError } from '../errors.js'
import { readHeader, type Header } from './header.js'
import { readSignature } from './signature.js'

/** A file whose code is the code that its manifest describes. */
export interface PluginFile extends Header {
  readonly path: string
  /** The whole file. What is run is this buffer: nothing is read a second time. */
  readonly bytes: Buffer
}

/**
 * Reads a plugin file from its bytes and holds its code against the manifest.
 *
 * @throws what `readHeader` does, `malformed-signature`, `truncated` and `code-mismatch`.
 */
export function parsePluginFile(bytes: Buffer, path: string): PluginFile {
  const header = readHeader(bytes, path)
  // Whatever the policy: the second line is not covered by the hash, and it is run as a comment.
  readSignature(header, path)
  const { code } = header.manifest
  const length = bytes.length - header.codeStart
  if (length < code.bytes) {
    throw new PluginError(
      'truncated',
      `${path} has ${length} of the ${code.bytes} bytes of code that it says it has; copy it again`,
      { path },
    )
  }
  if (length > code.bytes) {
    throw new PluginError(
      'code-mismatch',
      `${path} has ${length - code.bytes} bytes more than it says it has: something was appended; build it again, or copy it again`,
      { path },
    )
  }
  const digest = hash('sha256', bytes.subarray(header.codeStart))
  if (digest !== code.sha256) {
    throw new PluginError(
      'code-mismatch',
      `the code of ${path} is not the code that was built: it was changed or damaged; build it again, or copy it again`,
      { path },
    )
  }
  return { ...header, path, bytes }
}
