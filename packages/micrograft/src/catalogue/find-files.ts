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

async function list(folder: string, pattern: RegExp, entry: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [] as string[])
  const found = names.filter((name) => name.endsWith(pluginSuffix) && pattern.test(name)).sort()
  if (found.length === 0)
    throw new ServiceError('not-found', `no plugin file is in ${entry}; its files are named *${pluginSuffix}`)
  return found.map((name) => join(folder, name))
}

function toPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}
