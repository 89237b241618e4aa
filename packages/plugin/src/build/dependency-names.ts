import type { Metafile } from 'esbuild'
import type { Chunk } from './chunk.js'

/**
 * What esbuild writes of a file's path: a comment before its code, or the label of a CommonJS module.
 * Groups: what comes before the path, the part of it that is to go, the rest of it.
 */
const written = /^(\/\/ | {2}")(\.\.\/(?:[^"\n]*?\/)?)(node_modules\/[^\n]*)$/

/**
 * Calls the files of dependencies by what comes below the first `node_modules`, where that folder is
 * not in the plugin's own package: whether it lies above it, as in a workspace, or is a link to
 * somewhere else is a matter of the machine.
 */
export function portable({ code, map }: Chunk, { inputs }: Metafile): Chunk {
  if (!/^(?:\/\/ | {2}")\.\.\//m.test(code)) return { code, map }
  const lines = code.split('\n')
  const mappings = map?.mappings.split(';')
  // Others are lines of a text.
  const isWritten = (at: number): boolean => {
    const line = lines[at] as string
    if (line.startsWith('// ')) return Object.hasOwn(inputs, line.slice('// '.length))
    return /^var \w+ = __(?:commonJS|esm)\(\{$/.test(lines[at - 1] ?? '')
  }
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith('// ../') && !line.startsWith('  "../')) continue
    const [, before, gone, rest] = written.exec(line) ?? []
    if (before === undefined || gone === undefined || !isWritten(i)) continue
    lines[i] = before + rest
    if (mappings?.[i]) mappings[i] = moveLeft(mappings[i], gone.length)
  }
  return {
    code: lines.join('\n'),
    map: map && {
      ...map,
      sources: map.sources.map((path) => path.replace(/^\.\.\/(?:.*?\/)?(?=node_modules\/)/, '')),
      mappings: mappings?.join(';') ?? '',
    },
  }
}

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/**
 * The mappings of a line whose label has become shorter. Columns count from the segment before, so
 * the first behind the label takes the others with it (ECMA-426 §9.2).
 */
function moveLeft(line: string, by: number): string {
  const segments = line.split(',')
  const at = segments.findIndex((segment) => !segment.startsWith('A'))
  if (at < 0) return line
  const segment = segments[at] as string
  let [value, length] = [0, 0]
  for (let digit = 32; digit & 32; length++) {
    digit = digits.indexOf(segment.charAt(length))
    value |= (digit & 31) << (5 * length)
  }
  // The lowest bit is the sign; columns within a line only grow.
  let moved = ''
  for (let left = value - by * 2; left > 0 || moved === ''; left >>= 5)
    moved += digits[(left & 31) | (left > 31 ? 32 : 0)]
  segments[at] = moved + segment.slice(length)
  return segments.join(',')
}
