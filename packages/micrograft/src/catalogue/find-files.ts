import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { pluginSuffix } from '@micrograft/plugin'
import { ServiceError } from '@micrograft/contracts'

/**
 * The plugin files that an entry of `MICRO_PLUGIN` names, sorted: a file, a folder with all its
 * plugin files, or a pattern with `*` and `?` in its last part.
 * @throws `not-found` for a pattern or folder with no plugin file in it.
 */
export async function findPluginFiles(entry: string): Promise<readonly string[]> {
  const path = resolve(entry)
  if (/[*?]/.test(basename(path))) return list(dirname(path), toPattern(basename(path)), entry)
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
  // What is no folder is opened as it is: the platform says what is wrong with it.
  return isFolder ? list(path, /./, entry) : [path]
}

/**
 * The plugin files in a folder, which may have none yet.
 * @throws `invalid-option` where there is no such folder.
 */
export async function pluginFilesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder))
      .filter((name) => name.endsWith(pluginSuffix))
      .sort()
      .map((name) => join(resolve(folder), name))
  } catch (error) {
    throw new ServiceError(
      'invalid-option',
      `the folder of plugins ${folder} cannot be read: make it, or name another`,
      {
        cause: error,
      },
    )
  }
}

async function list(folder: string, pattern: RegExp, entry: string): Promise<readonly string[]> {
  const files = await pluginFilesIn(folder).catch(() => [] as string[])
  const found = files.filter((path) => pattern.test(basename(path)))
  if (found.length === 0)
    throw new ServiceError('not-found', `no plugin file is in ${entry}; its files are named *${pluginSuffix}`)
  return found
}

function toPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}
