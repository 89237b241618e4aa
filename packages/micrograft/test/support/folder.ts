import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A temporary folder that only this user can look into, and that goes with the test. */
export async function privateFolder(t: { after(done: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 10 }))
  return path
}
