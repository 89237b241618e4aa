import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Metafile } from 'esbuild'
import { withoutLines, type Chunk } from './chunk.js'

const strict = '"use strict";'

/** Code without the lines that esbuild begins it with where the entry or its configuration asks for them. */
export function withoutPrologue(chunk: Chunk): Chunk {
  const [lines = ''] = /^(?:#![^\n]*\n)?(?:"use strict";\n)*/.exec(chunk.code) ?? []
  return withoutLines(chunk, lines.split('\n').length - 1)
}

/**
 * The first line of the code: strict mode, which esbuild leaves out of what was an ES module.
 *
 * Not where a CommonJS module was written without it: such a module may break in it, and one
 * function has one mode.
 */
export function modeLine({ inputs }: Metafile, root: string): string {
  const modules = Object.entries(inputs).filter(([, { format }]) => format === 'cjs')
  return modules.every(([path]) => isStrict(readFileSync(resolve(root, path), 'utf8'))) ? strict : ''
}

/** Whether a script begins with the directive: before it there may be remarks and other directives. */
function isStrict(source: string): boolean {
  const before = /\uFEFF|#![^\n]*|\s+|;|\/\/[^\n]*|\/\*[^]*?\*\/|'([^'\\\n]*)'|"([^"\\\n]*)"/y
  for (let match = before.exec(source); match; match = before.exec(source))
    if ((match[1] ?? match[2]) === 'use strict') return true
  return false
}
