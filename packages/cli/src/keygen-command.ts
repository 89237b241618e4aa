import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { generateKeys, PluginError } from '@micrograft/plugin'
import type { Command } from 'commander'
import { printResult, shownPath, strong } from './output.js'

interface KeygenFlags {
  readonly out: string
  readonly json?: boolean
}

export function addKeygenCommand(program: Command): void {
  program
    .command('keygen')
    .summary('make a pair of keys to sign plugin files with')
    .description(
      'Makes a pair of ed25519 keys: NAME.key, private, to sign with, and NAME.pub, public, which hosts trust.\nNo file is overwritten.',
    )
    .option(
      '-o, --out <name>',
      'what the two files are called, without the ending, or with / at its end the folder',
      'micrograft',
    )
    .option('--json', 'print one line of JSON')
    .helpOption('-h, --help', 'print this')
    .action(keygen)
}

async function keygen({ out, json = false }: KeygenFlags): Promise<void> {
  const name = out === '' || /[/\\]$/.test(out) ? `${out}micrograft` : out
  const files = { privateKey: resolve(`${name}.key`), publicKey: resolve(`${name}.pub`) }
  const keys = generateKeys()
  await writeNew(files.privateKey, keys.privateKey, 0o600)
  try {
    await writeNew(files.publicKey, keys.publicKey, 0o644)
  } catch (error) {
    await rm(files.privateKey)
    throw error
  }
  printResult(
    `key ${strong(keys.keyId)}\n${shownPath(files.privateKey)}  private: sign with it, keep it secret\n${shownPath(files.publicKey)}  public: give it to hosts`,
    { keyId: keys.keyId, ...files },
    json,
  )
}

/** @throws `write-failed`, also where there is such a file: a key that is overwritten is lost. */
async function writeNew(path: string, content: string, mode: number): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content, { mode, flag: 'wx' })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why =
      code === 'EEXIST'
        ? `${path} is there already, and a key is never overwritten; choose another name with -o`
        : `cannot write ${path}: ${message}`
    throw new PluginError('write-failed', why, { path, cause })
  }
}
