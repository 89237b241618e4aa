import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { costsSuite } from './costs/suite.js'
import { enginesSuite } from './engines/suite.js'
import { eventsSuite } from './events/suite.js'
import { localSuite } from './local/suite.js'
import { pluginSuite } from './plugin/suite.js'
import { rpcSuite } from './rpc/suite.js'
import { startupSuite } from './startup/suite.js'
import { streamsSuite } from './streams/suite.js'
import { swapSuite } from './swap/suite.js'
import type { Suite } from './suite.js'

const suites: Readonly<Record<string, Suite>> = {
  plugin: pluginSuite,
  startup: startupSuite,
  rpc: rpcSuite,
  local: localSuite,
  streams: streamsSuite,
  events: eventsSuite,
  costs: costsSuite,
  engines: enginesSuite,
  swap: swapSuite,
}

const usage = `npm run bench -- SUITE [--quick] [--only PART,...] [--out DIRECTORY]

Suites
${Object.entries(suites)
  .map(([name, { about, parts }]) => `  ${name}  ${about}\n          parts: ${parts.join(', ')}`)
  .join('\n')}

  --quick  few rounds: a smoke test, whose figures are worth nothing; writes no results of itself
  --only   these parts alone; writes results only where --out says
  --out    where results are written (default: bench/results)`

function refuse(message: string): never {
  console.error(`${message}\n\n${usage}`)
  process.exit(2)
}

function parse(): ReturnType<typeof parseCommand> {
  try {
    return parseCommand()
  } catch (error) {
    return refuse((error as Error).message)
  }
}

function parseCommand() {
  return parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
}

const { values, positionals } = parse()
const { quick = false, help, only: parts, out: folder } = values
const [name, ...rest] = positionals
if (help) {
  console.log(usage)
  process.exit(0)
}
if (name === undefined || rest.length > 0) refuse('give the name of one suite')
const suite = Object.hasOwn(suites, name) ? suites[name] : undefined
if (!suite) refuse(`there is no suite ${name}`)
const only = parts?.split(',') ?? []
const unknown = only.find((each) => !suite.parts.includes(each))
if (unknown !== undefined) refuse(`the suite ${name} has no part ${unknown}`)

const results = fileURLToPath(new URL('../results', import.meta.url))
await suite.run({
  quick,
  only,
  out: folder ?? (quick || only.length > 0 ? undefined : results),
  command: `npm run bench -- ${[name, ...(quick ? ['--quick'] : []), ...(only.length > 0 ? [`--only ${only.join(',')}`] : [])].join(' ')}`,
})
