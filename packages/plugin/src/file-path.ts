import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PluginError } from './errors.js'

/** The absolute path of a file. @throws `invalid-option` where a URL is not one of a file. */
export function filePath(path: string | URL): string {
  try {
    return resolve(path instanceof URL ? fileURLToPath(path) : path)
  } catch (cause) {
    throw new PluginError(
      'invalid-option',
      `${String(path)} is no path of a file; give a path, or a URL that begins with file:`,
      { cause },
    )
  }
}
