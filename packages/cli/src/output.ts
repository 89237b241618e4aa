import { relative, resolve } from 'node:path'
import { styleText } from 'node:util'
import type { Failure } from './failure.js'

/** Prints a result: text for a person, or with `--json` the value on one line. */
export function printResult(text: string, value: object, json: boolean): void {
  process.stdout.write(`${json ? jsonText(value) : text}\n`)
}

/** Prints an error, in the same two ways. */
export function printError({ code, message, path, problems }: Failure, json: boolean): void {
  const text = json
    ? jsonText({ error: { code, message, path: path ?? null, problems } })
    : `${styleText('red', 'micrograft:', { stream: process.stderr })} ${printable(message)} [${code}]`
  process.stderr.write(`${text}\n`)
}

/** For what a reader looks for first. Nothing is added where there is no terminal or where NO_COLOR is set. */
export function strong(text: string): string {
  return styleText('bold', text, { stream: process.stdout })
}

/** `path` as the reader would write it from the working directory. */
export function shownPath(path: string): string {
  const short = relative('.', path)
  return short.startsWith('..') ? resolve(path) : short
}

/** `1.2 kB` */
export function shownSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 999_950 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** JSON in which nothing is left that a terminal would obey, or show in another order. */
export function jsonText(value: unknown, indent?: number): string {
  // All such characters are within texts, where an escape means the same.
  return (JSON.stringify(value, null, indent) ?? 'null').replace(/[^\P{C}\n]/gu, (each) =>
    [...Array(each.length).keys()]
      .map((at) => `\\u${each.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** Text of an unknown file with all that a terminal would obey, show in another order or begin a line at, written out. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (each) => `\\u{${(each.codePointAt(0) as number).toString(16)}}`)
}
