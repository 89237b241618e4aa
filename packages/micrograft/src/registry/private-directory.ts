import { lstatSync, mkdirSync, statSync, type Stats } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { ServiceError } from '@micrograft/contracts'

/** A path, and those above it that are the user's own too. */
export interface PrivatePath {
  readonly path: string
  /** Checked as well, outermost first. */
  readonly above: readonly string[]
}

/** This user's folder for what processes share on one machine. */
export function ownFolder(): string {
  const uid = process.getuid?.()
  const runtime = runtimeDirectory(uid)
  return runtime ? join(runtime, 'micrograft') : join(tmpdir(), `micrograft-${uid ?? 'user'}`)
}

/** Where the local registry of this user is, unless it is told otherwise. */
export function defaultDirectory(): PrivatePath {
  const own = ownFolder()
  return { path: join(own, 'registry'), above: [own] }
}

/** A login shell has the variable and a job of cron has not: both must find the same place. */
function runtimeDirectory(uid: number | undefined): string | undefined {
  const named = process.env['XDG_RUNTIME_DIR']
  for (const path of [named, uid === undefined ? undefined : `/run/user/${uid}`]) {
    if (!path || !isAbsolute(path)) continue
    const found = statSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory() && found.uid === uid) return path
  }
  return undefined
}

/**
 * Makes the directory where it is not there.
 *
 * @throws `forbidden` where somebody else owns it or may write to it, `unavailable` where it cannot be made.
 */
export function openPrivateDirectory({ path, above }: PrivatePath): void {
  for (const each of [...above, path]) {
    try {
      mkdirSync(each, { recursive: true, mode: 0o700 })
      check(each, lstatSync(each), statSync(each))
    } catch (error) {
      if (error instanceof ServiceError) throw error
      throw unavailable(path, error)
    }
  }
}

export function unavailable(path: string, cause: unknown): ServiceError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException
  const message = `cannot use the registry's directory ${path}: ${code}; give it another by the option directory`
  return new ServiceError('unavailable', message, { cause })
}

function check(path: string, link: Stats, { uid, mode }: Stats): void {
  const self = process.getuid?.()
  if (self === undefined) return
  // A link that somebody else made can be turned to another place after this check.
  if (uid !== self || link.uid !== self) {
    throw new ServiceError(
      'forbidden',
      `${path} belongs to user ${uid === self ? link.uid : uid}; give the registry a directory of your own`,
    )
  }
  if ((mode & 0o022) !== 0) {
    throw new ServiceError(
      'forbidden',
      `others may write to ${path}; do "chmod go-w" on it, or give the registry another directory`,
    )
  }
}
