// What users install: publint looks at each package as it would be packed, attw at its types, and
// each of its modules can be required.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { local, runQuietly } from './run.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const attwOptions = ['--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--no-color']
let checked = 0

for (const group of ['packages', 'plugins']) {
  if (!existsSync(root + group)) continue
  for (const folder of readdirSync(root + group)) check(`${root}${group}/${folder}`)
}
if (checked === 0) throw new Error('there is no package to check')
console.log(`${checked} packages can be published`)

function check(folder) {
  const { name, exports, private: unpublished } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
  if (unpublished) return
  const modules = Object.entries(exports).filter(([, target]) => typeof target === 'object')
  const specifiers = modules.map(([subpath]) => name + subpath.slice(1))
  const good =
    runQuietly(local('publint'), ['--strict', folder]) &&
    // A package that is only a command has no types to look at.
    (specifiers.length === 0 || runQuietly(local('attw'), ['--pack', folder, ...attwOptions])) &&
    specifiers.every(loads)
  if (good) checked++
  else process.exitCode = 1
}

/** An ES module can be required, too, unless it or one that it imports awaits at top level. */
function loads(specifier) {
  const program = `require('${specifier}')`
  return runQuietly(process.execPath, ['--no-warnings', '--input-type=commonjs', '--eval', program])
}
