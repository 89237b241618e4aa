import { readdir } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { defaultDirectory, ownDirectory } from '../transport/unix-path.js'

const pipes = String.raw`\\.\pipe` + '\\'

/**
 * Where a service's admin socket is, unless it is told otherwise: `<name>.<id>.sock` in the user's own
 * folder, made with mode 0700, or a named pipe on Windows. Both parts are cut: the kernel takes few bytes.
 */
export async function adminPath(service: string, id: string): Promise<string> {
  const name = `${service.slice(0, 40)}.${id.slice(0, 8)}.sock`
  if (process.platform === 'win32') return `${pipes}${pipePrefix()}${name}`
  const folder = adminFolder()
  await ownDirectory(defaultDirectory())
  await ownDirectory(folder)
  return join(folder, name)
}

/** Sockets that may be of `service`, or of any where none is named; some may be dead. */
export async function adminPaths(service = ''): Promise<readonly string[]> {
  const [folder, prefix] = process.platform === 'win32' ? [pipes, pipePrefix()] : [adminFolder(), '']
  const names = await readdir(folder).catch(() => [] as string[])
  return names
    .filter((name) => name.startsWith(prefix + service.slice(0, 40)) && name.endsWith('.sock'))
    .sort()
    .map((name) => join(folder, name))
}

function adminFolder(): string {
  return join(defaultDirectory(), 'admin')
}

function pipePrefix(): string {
  return `micrograft-${userInfo().username}-`
}
