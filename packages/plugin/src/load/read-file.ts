import { constants, type BigIntStats } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { PluginError, reason, systemCode } from '../errors.js'
import { withFile, type OpenFile } from './open-file.js'

/** Largest plugin file unless told otherwise: 64 MiB. */
export const defaultMaxBytes = 67_108_864

export interface ReadLimits {
  readonly maxBytes: number
  /** Real paths of folders outside of which no file is taken; `undefined` takes any. */
  readonly directories: readonly string[] | undefined
  /** Whether a file, or its folder, that the group or others may write to is refused. */
  readonly ownerOnly: boolean
}

/**
 * The bytes of a plugin file, all of them as they were at one moment: from one descriptor, and
 * refused where the file was written to meanwhile.
 *
 * @throws `not-found`, `not-a-file`, `unreadable`, `refused-path`, `empty`, `too-large` or
 *   `changed-while-reading`.
 */
export async function readPluginBytes(path: string, limits: ReadLimits): Promise<Buffer> {
  try {
    return await withFile(path, (file) => readWhole(file, path, limits))
  } catch (error) {
    throw error instanceof PluginError ? error : unreadable(path, error)
  }
}

async function readWhole(file: OpenFile, path: string, limits: ReadLimits): Promise<Buffer> {
  const before = file.stat()
  if (!before.isFile()) {
    throw new PluginError(
      'not-a-file',
      `${path} is a ${kind(before)}, not a file; name the plugin file itself`,
      { path },
    )
  }
  await checkPlace(path, before, limits)
  if (before.size === 0n) {
    throw new PluginError('empty', `${path} is empty; build it again, or copy it again`, { path })
  }
  if (before.size > BigInt(limits.maxBytes)) {
    throw new PluginError(
      'too-large',
      `${path} has ${before.size} bytes and the limit is ${limits.maxBytes}; bundle less, or raise maxBytes`,
      { path },
    )
  }
  const bytes = await file.read(Number(before.size))
  const after = file.stat()
  if (
    bytes.length !== Number(before.size) ||
    after.size !== before.size ||
    after.mtimeNs !== before.mtimeNs
  ) {
    throw new PluginError(
      'changed-while-reading',
      `${path} was written to while it was read; write to another name and rename it into place`,
      { path },
    )
  }
  return bytes
}

async function checkPlace(
  path: string,
  stats: BigIntStats,
  { directories, ownerOnly }: ReadLimits,
): Promise<void> {
  if (!directories && !ownerOnly) return
  const real = await realpath(path)
  const there = await stat(real, { bigint: true })
  // A link that was turned round meanwhile must not lend its new place to what was opened before.
  if (there.ino !== stats.ino || there.dev !== stats.dev) {
    throw new PluginError('changed-while-reading', `${path} was replaced while it was read; open it again`, {
      path,
    })
  }
  if (directories && !directories.some((directory) => contains(directory, real))) {
    throw new PluginError(
      'refused-path',
      `${path} lies outside the allowed directories (${directories.join(', ')}); put it into one of them`,
      { path },
    )
  }
  if (!ownerOnly || process.platform === 'win32') return
  const folder = await open(dirname(real), constants.O_RDONLY)
  try {
    const writable = [stats, await folder.stat({ bigint: true })].some(({ mode }) => (mode & 0o022n) !== 0n)
    if (writable) {
      throw new PluginError(
        'refused-path',
        `${path}, or its folder, can be written to by others than its owner; take that away with chmod go-w`,
        { path },
      )
    }
  } finally {
    await folder.close()
  }
}

function contains(directory: string, file: string): boolean {
  const path = relative(directory, file)
  return path !== '' && path !== '..' && !path.startsWith(`..${sep}`) && path !== file
}

function kind(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'directory'
  if (stats.isFIFO()) return 'named pipe'
  if (stats.isSocket()) return 'socket'
  return 'device'
}

function unreadable(path: string, cause: unknown): PluginError {
  const code = systemCode(cause)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new PluginError('not-found', `there is no file ${path}; build it, or correct the path`, {
      path,
      cause,
    })
  }
  // What `open` says of a socket.
  if (code === 'ENXIO' || code === 'EOPNOTSUPP') {
    return new PluginError(
      'not-a-file',
      `${path} is a socket or a device, not a file; name the plugin file itself`,
      { path, cause },
    )
  }
  if (code === 'EISDIR') {
    return new PluginError('not-a-file', `${path} is a directory, not a file; name the plugin file itself`, {
      path,
      cause,
    })
  }
  return new PluginError(
    'unreadable',
    `cannot read ${path}: ${reason(cause)}; see to it that this process may read it`,
    { path, cause },
  )
}
