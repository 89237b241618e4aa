// Makes a checkout ready: installs what the lock file names and compiles, each only where needed.
// Runs on a fresh clone with nothing installed, so it uses Node alone.

import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const windows = process.platform === 'win32'

/** Runs a command of this checkout; its output is shown, and its failure ends everything. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: windows,
    ...options,
  })
  if (error) throw error
  if (status !== 0) {
    console.error(`\n${command} ${args.join(' ')} ended with ${status}`)
    process.exit(status ?? 1)
  }
}

/** A program that a package of this checkout brings. */
export function local(name, args, options) {
  run(`${root}node_modules/.bin/${name}${windows ? '.cmd' : ''}`, args, options)
}

function installed() {
  const made = `${root}node_modules/.package-lock.json`
  return existsSync(made) && statSync(made).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs
}

if (!installed()) {
  console.log('installing')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}
local('tsc', ['--build'])
