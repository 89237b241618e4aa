// Tries every version of go-micro against this checkout, both ways, and holds docs/interop.md against the result.
//   node interop/dist/main.js             all
//   node interop/dist/main.js --write     puts the result into docs/interop.md
//   node interop/dist/main.js v2 mucp     what has each of the words
// Where there is no Go it says so, and fails with REQUIRE_GO set.

import { etcd, natsServer, ServerProcess } from '@micrograft/test-support'
import { isExpected, nameOf, protocols, type Checked, type Registry } from './cells.js'
import { readDocument, writeDocument } from './document.js'
import { matrixOf } from './matrix.js'
import { buildPrograms, type Release } from './programs.js'
import { surroundings, type Surroundings } from './surroundings.js'
import { tables } from './table.js'

const given = process.argv.slice(2)
const isToWrite = given.includes('--write')
const words = given.filter((word) => word !== '--write')
const isRequired = !['', '0', 'false'].includes(process.env['REQUIRE_GO'] ?? '')

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

const around = await surroundings()
if (typeof around === 'string') {
  print(`${isRequired ? 'FAILED' : 'SKIPPED'}: nothing was tried against go-micro, as ${around}`)
  if (isRequired) process.exitCode = 1
} else if (!(await run(around))) process.exitCode = 1

/** Tries all, and tells; whether all came out as it must. */
async function run({ toolchain, noMulticast, versions }: Surroundings): Promise<boolean> {
  const releases = await buildPrograms(toolchain)
  const registries: Registry[] = noMulticast === undefined ? ['mdns', 'etcd', 'nats'] : ['etcd', 'nats']
  const { checked, broken } = await tryAll(releases, registries)
  const date = new Date().toISOString().slice(0, 10)
  const found = `On ${date}, with ${versions.join(', ')}:\n\n${tables(releases, checked)}`
  print(found)
  const wrong = checked.filter((each) => !isExpected(each))
  for (const { cell, outcome, limit } of wrong)
    print(`FAILED: ${nameOf(cell)}: ${outcome.works ? `works, although: ${limit}` : outcome.why}`)
  for (const each of broken) print(`FAILED: ${each}`)
  print(`${checked.length - wrong.length} of ${checked.length} tries came out as they must`)
  const skipped = releases.flatMap(({ release, programs }) =>
    'whyNone' in programs ? [`go-micro ${release} (${programs.whyNone})`] : [],
  )
  if (noMulticast !== undefined) skipped.push(`mdns (${noMulticast})`)
  if (words.length > 0) skipped.push(`what is not ${words.join(' ')}`)
  for (const each of skipped) print(`SKIPPED: ${each}`)
  if (wrong.length > 0 || broken.length > 0) return false
  const isWhole = skipped.length === 0
  if (isToWrite && isWhole) await writeDocument(found)
  else if (isToWrite) print('docs/interop.md stays as it is, as not all was tried')
  // Without mDNS, cells that say where something works say less.
  else if (words.length === 0 && noMulticast === undefined) return isDocumented(releases, checked)
  return true
}

/** Whether the document has the same rows for all that was tried. */
async function isDocumented(releases: readonly Release[], checked: readonly Checked[]): Promise<boolean> {
  const tried = releases.filter(({ programs }) => !('whyNone' in programs))
  const document = await readDocument()
  const rows = tables(tried, checked)
    .split('\n')
    .filter((line) => line.startsWith('|'))
  const missing = rows.filter((line) => !document.includes(line))
  for (const line of missing) print(`FAILED: docs/interop.md does not have ${line}`)
  if (missing.length > 0) print('run npm run test:interop -- --write, and look at what has changed')
  return missing.length === 0
}

interface Tried {
  readonly checked: Checked[]
  /** What did not come to its end. */
  readonly broken: string[]
}

async function tryAll(releases: readonly Release[], registries: readonly Registry[]): Promise<Tried> {
  await using keys = await ServerProcess.start(etcd)
  await using messages = await ServerProcess.start(natsServer(() => ({ jetstream: false })))
  const tried: Tried = { checked: [], broken: [] }
  for (const { version, release, programs } of releases) {
    if ('whyNone' in programs) continue
    for (const protocol of protocols) {
      if (!words.every((word) => word === version || word === protocol)) continue
      const tag = Math.random().toString(36).slice(2, 6)
      const settings = { tag, protocol, etcdPort: keys.port, natsPort: messages.port, registries }
      const started = performance.now()
      try {
        tried.checked.push(...(await matrixOf({ version, path: programs[protocol] }, settings)))
      } catch (error) {
        tried.broken.push(`go-micro ${release}, ${protocol}: ${(error as Error).message}`)
      }
      print(`go-micro ${release}, ${protocol}: ${Math.round((performance.now() - started) / 1000)} s`)
    }
  }
  return tried
}
