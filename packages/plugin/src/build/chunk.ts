import type { SourceMapText } from '../format/source-map.js'

/** Code on its way into a plugin file, with its map, where one is wanted. */
export interface Chunk {
  readonly code: string
  readonly map: SourceMapText | undefined
}

/** The map as it is read from `text`, with the fields of the format and no others. */
export function readMap(text: string): SourceMapText {
  const { sources, sourcesContent, names, mappings } = JSON.parse(text) as SourceMapText
  return {
    version: 3,
    sourceRoot: '',
    sources,
    ...(sourcesContent ? { sourcesContent } : {}),
    names,
    mappings,
  }
}

/** Code and map with the first lines of the code taken away, which nothing is mapped to. */
export function withoutLines({ code, map }: Chunk, count: number): Chunk {
  return { code: after(code, '\n', count), map: map && { ...map, mappings: after(map.mappings, ';', count) } }
}

function after(text: string, separator: string, count: number): string {
  let at = 0
  for (let i = 0; i < count; i++) at = text.indexOf(separator, at) + 1
  return text.slice(at)
}

/** Code and map with `lines` put before them. */
export function withLines({ code, map }: Chunk, lines: readonly string[]): Chunk {
  return {
    code: [...lines, code].join('\n'),
    map: map && { ...map, mappings: ';'.repeat(lines.length) + map.mappings },
  }
}
