import { createHash } from 'node:crypto'

/** A source map as this package writes it: revision 3, `sources` relative to the root of the plugin's own package. */
export interface SourceMapText {
  readonly version: 3
  /** From the map's folder to the root that `sources` are relative to. The only part that depends on where the output lies. */
  readonly sourceRoot: string
  readonly sources: readonly string[]
  readonly sourcesContent?: readonly (string | null)[]
  readonly names: readonly string[]
  readonly mappings: string
}

/**
 * SHA-256 of a map, in lower-case hexadecimal, whatever its `sourceRoot`: the same source built into
 * another folder is the same plugin.
 */
export function sourceMapDigest(map: SourceMapText): string {
  return createHash('sha256')
    .update(JSON.stringify({ ...map, sourceRoot: '' }))
    .digest('hex')
}
