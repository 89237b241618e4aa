// Makes a checkout ready: installs what the lock file names and compiles, each only where needed.
// Runs on a fresh clone with nothing installed, so it uses Node alone.

import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildPluginFiles } from './plugin-files.mjs'
import { local, run } from './run.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

function installed() {
  const made = `${root}node_modules/.package-lock.json`
  return existsSync(made) && statSync(made).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs
}

function install() {
  console.log('installing')
  return run('npm', ['ci', '--loglevel=error'])
}

const ready = (installed() || install()) && run(local('tsc'), ['--build'])
if (ready) await buildPluginFiles()
else process.exitCode = 1
