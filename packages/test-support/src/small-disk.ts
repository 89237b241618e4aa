import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of a test's own, which can be full. */
export class SmallDisk implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** `undefined` where none can be mounted: only root may, and not in every container. */
  static async mount(bytes: number): Promise<SmallDisk | undefined> {
    const folder = await mkdtemp(join(tmpdir(), 'micrograft-disk-'))
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=1777`, 'tmpfs', folder])
      return new SmallDisk(folder)
    } catch {
      await rm(folder, { recursive: true })
      return undefined
    }
  }

  /** Takes all the room that is left. */
  async fill(): Promise<void> {
    const file = await open(this.#ballast, 'a')
    try {
      for (let bytes = 1_048_576; bytes >= 1;) {
        try {
          await file.write(Buffer.alloc(bytes))
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          bytes = bytes >> 4
        }
      }
    } finally {
      await file.close()
    }
  }

  /** Gives back what `fill` took. */
  makeRoom(): Promise<void> {
    return rm(this.#ballast, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['-l', this.folder])
    await rm(this.folder, { recursive: true })
  }

  get #ballast(): string {
    return join(this.folder, 'ballast')
  }
}
