// What users install: publint looks at each package as it would be packed, attw at its types.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { local } from './ready.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
for (const group of ['packages', 'plugins']) {
  if (!existsSync(root + group)) continue
  for (const name of readdirSync(root + group)) {
    const folder = `${root}${group}/${name}`
    const { exports } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
    local('publint', ['--strict', folder])
    // A package that is only a command has no types to look at.
    if ('.' in exports)
      local('attw', [
        '--pack',
        folder,
        '--profile',
        'esm-only',
        '--no-definitely-typed',
        '--no-emoji',
        '--format',
        'table',
      ])
  }
}
