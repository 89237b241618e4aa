import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

/** Writes a suite's results as `<name>.json` and `<name>.md`. */
export function writeResults(folder: string, name: string, data: unknown, markdown: string): void {
  const json = `${JSON.stringify(data, rounded, 2)}\n`
  refusePaths(json)
  refusePaths(markdown)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.json`), json)
  writeFileSync(join(folder, `${name}.md`), markdown)
}

/** Five digits are more than any figure here is worth. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/** Results are read elsewhere: a path of this machine in them is a mistake of this program. */
function refusePaths(text: string): void {
  for (const place of [root, tmpdir(), homedir(), `/${userInfo().username}/`]) {
    if (place.length > 1 && text.includes(place)) throw new Error(`the results name ${place}`)
  }
}
