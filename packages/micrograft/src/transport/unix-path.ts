import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServiceError } from '@micrograft/contracts'

/** What the kernel takes: 108 bytes with a NUL on Linux, 104 on macOS. */
const maxPathBytes = 103

/** The path in `unix:/path`, or in a path alone; empty where the address names none. */
export function unixPath(address: string): string {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : address
  // `:0` and `host:0` ask for any free address, whatever the transport.
  if (path === '' || /^[^/]*:0$/.test(path)) return ''
  if (!path.startsWith('/')) {
    throw new ServiceError(
      'invalid-option',
      `${JSON.stringify(address)} is no address; write unix:/path/to/socket`,
    )
  }
  if (Buffer.byteLength(path) > maxPathBytes || path.includes('\0')) {
    throw new ServiceError(
      'invalid-option',
      `the socket path ${path} is longer than ${maxPathBytes} bytes; choose a shorter one`,
    )
  }
  return path
}

/** Whose the files are that this process makes. A user of a container need not have a name; Windows has no number. */
export function userId(): number {
  return process.geteuid?.() ?? -1
}

/** The user's own folder for sockets. */
export function defaultDirectory(): string {
  const { XDG_RUNTIME_DIR: runtime } = process.env
  return runtime ? join(runtime, 'micrograft') : join(tmpdir(), `micrograft-${userId()}`)
}

/**
 * Makes sure of a folder that only this user can look into.
 * @throws `forbidden` where it is somebody else's or others may enter it.
 */
export async function ownDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const stats = await lstat(path)
  if (!stats.isDirectory() || stats.uid !== userId()) {
    throw new ServiceError(
      'forbidden',
      `${path} is not a directory of this user; remove it or choose another`,
    )
  }
  if ((stats.mode & 0o077) !== 0) await chmod(path, 0o700)
}

/** Removes the socket file of a process that is gone; gives whether it did. Nothing but a dead socket is removed. */
export async function removeStale(path: string): Promise<boolean> {
  const before = await lstat(path).catch(() => undefined)
  if (!before) return true
  if (!before.isSocket() || (await answers(path))) return false
  const now = await lstat(path).catch(() => undefined)
  // Another process may have replaced it meanwhile.
  if (now?.ino !== before.ino || now.ctimeMs !== before.ctimeMs) return now === undefined
  await unlink(path).catch(() => undefined)
  return true
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
