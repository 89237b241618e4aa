import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Where releases come from that Go's module proxy does not give. */
const repository = process.env['GO_MICRO_REPOSITORY'] ?? 'https://github.com/micro/go-micro'

/**
 * Brings the sources of a tag of go-micro into a folder.
 * @param commit What the tag must be.
 * @returns why they are not to be had.
 */
export async function bringSources(tag: string, commit: string, folder: string): Promise<string | undefined> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const git = async (...args: string[]) =>
    (
      await promisify(execFile)('git', args, {
        cwd: folder,
        env: { ...process.env, GIT_TERMINAL_PROMPT: '0' },
        timeout: 30_000,
      })
    ).stdout.trim()
  try {
    await git('init', '--quiet')
    await git('fetch', '--quiet', '--depth=1', repository, `refs/tags/${tag}`)
  } catch {
    return `its sources were not to be had: neither Go's module proxy gives go-micro ${tag.slice(1)}, nor did its repository answer; GO_MICRO_REPOSITORY names another place`
  }
  const found = await git('rev-parse', 'FETCH_HEAD^{commit}')
  if (found !== commit) throw new Error(`${tag} of ${repository} is ${found} and not ${commit}`)
  await git('checkout', '--quiet', found)
  return undefined
}
