// How the scripts of this folder run other programs.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const windows = process.platform === 'win32'

/** Runs a command in the root of the checkout and shows what it prints; whether it succeeded. */
export function run(command, args) {
  return start(command, args, { stdio: 'inherit' })
}

/** The same for a command whose output matters only where it fails. */
export function runQuietly(command, args) {
  return start(command, args, { encoding: 'utf8' })
}

/** A program that a package of this checkout brings. */
export function local(name) {
  return `${root}node_modules/.bin/${name}${windows ? '.cmd' : ''}`
}

function start(command, args, options) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    shell: windows,
    ...options,
  })
  if (error) throw error
  if (status === 0) return true
  console.error(`${stdout ?? ''}${stderr ?? ''}\n${command} ${args.join(' ')} ended with ${status}`)
  return false
}
