// The lock file names packages and their hashes, all that they need on every platform, and no place
// to download them from.

import { readFileSync } from 'node:fs'

const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
const problems = []

for (const [path, entry] of Object.entries(packages)) {
  if (/^[a-z+]+:\/\//.test(entry.resolved ?? '')) problems.push(`${path} has a download address`)
  if (path.includes('node_modules/') && !entry.link && !entry.integrity) problems.push(`${path} has no hash`)
  // npm forgets optional packages of other platforms where its registry lacks them, and then refuses
  // the lock file, but not for a package that is itself optional.
  const needed = { ...entry.dependencies, ...(entry.optional ? {} : entry.optionalDependencies) }
  for (const name of Object.keys(needed)) if (!found(path, name)) problems.push(`${path} needs ${name}`)
}

for (const problem of problems.slice(0, 20)) console.error(problem)
if (problems.length > 0) {
  console.error(
    `package-lock.json has ${problems.length} problems; remove it with node_modules and run npm install`,
  )
  process.exitCode = 1
} else {
  console.log(`${Object.keys(packages).length} entries hold`)
}

/** Whether Node, looking from a package upwards, would find one of that name. */
function found(path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    if (`${folder}${folder && '/'}node_modules/${name}` in packages) return true
    if (folder === '') return false
  }
}
