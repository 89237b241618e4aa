import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { PluginError } from '@micrograft/plugin'

/** @throws `not-found` or `unreadable` */
export async function readKeyFile(name: string): Promise<string> {
  const path = resolve(name)
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw code === 'ENOENT'
      ? new PluginError('not-found', `there is no key file ${path}; make one with micrograft keygen`, {
          path,
          cause,
        })
      : new PluginError('unreadable', `cannot read the key file ${path}: ${message}`, { path, cause })
  }
}

/** `error`, or where it refuses a key one that names the file, which only the command line knows. */
export function namingKeyFiles(error: unknown, paths: readonly string[]): unknown {
  if (!(error instanceof PluginError) || error.code !== 'malformed-key') return error
  return new PluginError(error.code, `${paths.join(', ')}: ${error.message}`, {
    path: paths.length === 1 ? resolve(paths[0] as string) : undefined,
    cause: error,
  })
}
