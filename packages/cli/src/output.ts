import { relative, resolve } from 'node:path'
import { styleText } from 'node:util'
import type { Failure } from './failure.js'

/** Prints a result: text for a person, or with `--json` the value on one line. */
export function printResult(text: string, value: object, json: boolean): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`)
}

/** Prints an error, in the same two ways. */
export function printError({ code, message, path, problems }: Failure, json: boolean): void {
  const text = json
    ? JSON.stringify({ error: { code, message, path: path ?? null, problems } })
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

/** Text of an unknown file with all that a terminal would obey, or show in another order, written out. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, (each) => `\\u{${(each.codePointAt(0) as number).toString(16)}}`)
}
