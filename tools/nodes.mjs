// Finds the Node releases that tests run on, beside the one that runs this.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The newest release with long-term support, and the newest of all. */
export const otherVersions = ['24.21.0', '26.10.0']

/** The path of a Node binary of that version, taken from the npm registry the first time. */
export function nodeBinary(version) {
  const folder = fileURLToPath(new URL(`../.cache/node-${version}/`, import.meta.url))
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const binary = `${folder}node_modules/${name}/bin/node${process.platform === 'win32' ? '.exe' : ''}`
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    const args = [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--loglevel=error',
      '--prefix',
      folder,
      `${name}@${version}`,
    ]
    const { status } = spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' })
    if (status !== 0 || !existsSync(binary)) throw new Error(`cannot install Node ${version} (${name})`)
  }
  return binary
}
