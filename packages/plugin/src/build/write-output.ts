import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PluginError, reason } from '../errors.js'

/**
 * Writes a file whole or not at all.
 * @throws `write-failed`
 */
export async function writeOutput(path: string, content: string | Buffer): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new PluginError(
      'write-failed',
      `cannot write ${path}: ${reason(cause)}; see to it that this process may write there`,
      { path, cause },
    )
  }
}
