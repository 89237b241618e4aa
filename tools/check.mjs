// Everything that is held by a machine and is no test: format, lint, import boundaries, types
// (checked by the build), packages, links in documents, lock file.

import './ready.mjs'
import { local, run } from './ready.mjs'

const steps = {
  format: () => local('oxfmt', ['--check']),
  lint: () => local('oxlint', ['--deny-warnings']),
  boundaries: () => run(process.execPath, ['tools/boundaries.mjs']),
  documents: () => run(process.execPath, ['tools/documents.mjs']),
  'lock file': () => run(process.execPath, ['tools/lock-file.mjs']),
  packages: () => run(process.execPath, ['tools/packages.mjs']),
}

for (const [name, step] of Object.entries(steps)) {
  console.log(`\n${name}`)
  step()
}
console.log('\nall checks passed')
