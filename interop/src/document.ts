import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const path = fileURLToPath(new URL('../../docs/interop.md', import.meta.url))
const marks = /(<!-- interop -->\n)([^]*?)(<!-- \/interop -->)/

export function readDocument(): Promise<string> {
  return readFile(path, 'utf8')
}

/** Puts what a run has found between the marks of the document. */
export async function writeDocument(found: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  if (!marks.test(text)) throw new Error('docs/interop.md has no place for what the run has found')
  await writeFile(
    path,
    text.replace(marks, (_, begin: string, _old, end: string) => `${begin}\n${found}\n${end}`),
  )
}
