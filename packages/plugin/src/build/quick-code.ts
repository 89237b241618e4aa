import type * as esbuild from 'esbuild'

/**
 * A bundle in a form that V8 compiles in less time.
 *
 * It is the same program: what esbuild does not read as that is not done. Every place that a source
 * map points at keeps its line and column.
 */
export async function quickCode(code: string, transform: typeof esbuild.transform): Promise<string> {
  const eager = eagerModules(code)
  const candidates = [...new Set([oneByteComments(eager), eager])].filter((each) => each !== code)
  if (candidates.length === 0) return code
  const dense = async (text: string) =>
    (
      await transform(text, {
        loader: 'js',
        minifyWhitespace: true,
        legalComments: 'none',
        logLevel: 'silent',
      })
    ).code
  const wanted = withoutParentheses((await dense(code)).replace(denseBeginning, '$1:function$2'))
  for (const candidate of candidates) {
    const made = await dense(candidate).catch(() => undefined)
    if (made !== undefined && withoutParentheses(made) === wanted) return candidate
  }
  return code
}

/** How esbuild begins and ends a CommonJS module in a bundle: as a method that is called when the module is first asked for. */
const beginning = /^(var \w+ = __commonJS\(\{)\n {2}("(?:[^"\\\n]|\\.)*")(\([\w, ]*\) \{)$/gm
const ending = '\n  }\n});'

/** The same beginning where esbuild has taken out the spaces. */
const denseBeginning = /(__commonJS\(\{"(?:[^"\\\n]|\\.)*")(\([\w,]*\)\{)/g

/**
 * Has V8 compile the CommonJS modules of a bundle at once. Nearly all of them run while the bundle
 * loads; but a method is skipped over first and compiled when it is called, so that it is parsed
 * twice, and a code cache of the bundle is one without it. A function in parentheses is compiled
 * where it stands: V8 takes it for one that is called at once.
 */
function eagerModules(code: string): string {
  let result = ''
  let at = 0
  for (const { 0: begin, 1: before, 2: label = '', 3: parameters, index } of code.matchAll(beginning)) {
    const bodyAt = index + begin.length
    const end = code.indexOf(ending, bodyAt)
    // Within what was taken for another: text that looks like a module and is none.
    if (index < at || end < 0) return code
    const indent = ' '.repeat('  '.length + label.length)
    result += `${code.slice(at, index)}${before} ${label}: (function\n${indent}${parameters}`
    result += `${code.slice(bodyAt, end)}\n  })\n});`
    at = end + ending.length
  }
  return result + code.slice(at)
}

/** A parenthesis that got into a text has its partner alone in the code, which then does not parse. */
function withoutParentheses(code: string): string {
  return code.replace(/[()]/g, '')
}

const beyondLatin1 = /[^\0-\xff]/g

/** ASCII that looks the same, for what is written most. */
const lookalikes: Readonly<Record<string, string>> = {
  '\u2013': '-',
  '\u2014': '-',
  '\u2018': "'",
  '\u2019': "'",
  '\u201c': '"',
  '\u201d': '"',
}

/**
 * Keeps V8 from holding the whole text with two bytes a character for the sake of a dash in a
 * comment: esbuild escapes such characters elsewhere. The source map has the comment as it was, and
 * the licences at the end stay as they are.
 */
function oneByteComments(code: string): string {
  const licences = code.lastIndexOf('\n/*! Bundled license information:')
  const end = licences < 0 ? code.length : licences
  if (code.slice(end).search(beyondLatin1) >= 0) return code
  return (
    code.slice(0, end).replace(beyondLatin1, (character) => lookalikes[character] ?? '?') + code.slice(end)
  )
}
