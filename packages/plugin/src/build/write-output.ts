import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PluginError, reason } from '../errors.js'

export interface Output {
  readonly path: string
  readonly content: string | Buffer
}

/**
 * Writes files whole, or none of them: each is renamed into place, in the order given, once all have
 * been written under another name.
 * @throws `write-failed`
 */
export async function writeOutputs(outputs: readonly Output[]): Promise<void> {
  const written: { readonly path: string; readonly temporary: string }[] = []
  let current = ''
  try {
    for (const { path, content } of outputs) {
      current = path
      await refuseFolder(path)
      const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`)
      written.push({ path, temporary })
      await mkdir(dirname(path), { recursive: true })
      await writeFile(temporary, content)
    }
    for (const { path, temporary } of written) await rename(temporary, (current = path))
  } catch (cause) {
    for (const { temporary } of written) await rm(temporary, { force: true }).catch(() => undefined)
    throw new PluginError(
      'write-failed',
      `cannot write ${current}: ${reason(cause)}; name another place, or see to it that this process may write there`,
      { path: current, cause },
    )
  }
}

/** Known before anything is renamed: what is renamed first would not be taken back. */
async function refuseFolder(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there?.isDirectory()) throw new Error('it is a directory')
}
