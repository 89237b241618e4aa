// Everything that is held by a machine and is no test; types are checked where the project is compiled.

import { local, run } from './run.mjs'

const script = (name, ...args) => run(process.execPath, [`tools/${name}.mjs`, ...args])

const steps = {
  format: () => run(local('oxfmt'), ['--check']),
  lint: () => run(local('oxlint'), ['--deny-warnings']),
  boundaries: () => script('boundaries'),
  'unused code': () => run(local('knip'), ['--no-config-hints']),
  documents: () => script('documents'),
  'code of the documents': () => script('code-of-documents'),
  'example of the README': () => script('readme-example'),
  'plugins of the README': () => script('readme-catalogue', '--check'),
  'figures of the README': () => script('readme-figures', '--check'),
  'lock file': () => script('lock-file'),
  packages: () => script('packages'),
}

const failed = Object.entries(steps).filter(([name, step]) => {
  console.log(`\n${name}`)
  return !step()
})
console.log(
  failed.length === 0 ? '\nall checks passed' : `\nFAILED: ${failed.map(([name]) => name).join(', ')}`,
)
if (failed.length > 0) process.exitCode = 1
