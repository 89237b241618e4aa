import { readdir } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { ownFolder } from '../registry/private-directory.js'
import { ownDirectory, userId } from '../transport/unix-path.js'

/** What is left for a folder of what the kernel takes as the path of a socket: 104 bytes at least, with a NUL. */
const maxServiceBytes = 24
const maxNameBytes = maxServiceBytes + '.12345678.sock'.length
const maxFolderBytes = 103 - maxNameBytes - 1

const pipes = String.raw`\\.\pipe` + '\\'

/**
 * Where a service's admin socket is, unless it is told otherwise: `<name>.<id>.sock` in the user's own
 * folder, made with mode 0700, or a named pipe on Windows. Both parts are cut: the kernel takes few bytes.
 */
export async function adminPath(service: string, id: string): Promise<string> {
  const name = `${service.slice(0, maxServiceBytes)}.${id.slice(0, 8)}.sock`
  if (process.platform === 'win32') return `${pipes}${pipePrefix()}${name}`
  const folder = adminFolder()
  await ownDirectory(dirname(folder))
  await ownDirectory(folder)
  return join(folder, name)
}

/** Sockets that may be of `service`, or of any where none is named; some may be dead. */
export async function adminPaths(service = ''): Promise<readonly string[]> {
  const [folder, prefix] = process.platform === 'win32' ? [pipes, pipePrefix()] : [adminFolder(), '']
  const names = await readdir(folder).catch(() => [] as string[])
  return names
    .filter((name) => name.startsWith(prefix + service.slice(0, maxServiceBytes)) && name.endsWith('.sock'))
    .sort()
    .map((name) => join(folder, name))
}

/** The user's own folder, or a shorter one where its path leaves no room for a socket's. */
function adminFolder(): string {
  const own = join(ownFolder(), 'admin')
  return Buffer.byteLength(own) <= maxFolderBytes ? own : `/tmp/micrograft-${userId()}/admin`
}

function pipePrefix(): string {
  return `micrograft-${userInfo().username}-`
}
