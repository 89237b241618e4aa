// Holds the code of the documents that no test runs: what is TypeScript in the READMEs of the plugins and in
// docs/ compiles, each plugin is built as its README says, the flags beside it are taken by a service, and one
// service takes all of the plugins.

import { execFile } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { blocksOf } from './markdown.mjs'
import { local } from './run.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = [
  ...readdirSync(join(root, 'plugins')).map((name) => `plugins/${name}/README.md`),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const blocks = documents.flatMap((path) =>
  blocksOf(readFileSync(join(root, path), 'utf8')).map((block) => Object.assign(block, { path })),
)

/** What stands for the program of the reader: it takes its flags and plugin files, which lead to no server. */
const program = `import { createService } from 'micrograft'
const service = createService({ name: 'reader', logger: 'noop' })
await service.init().catch((error) => {
  if (!['unavailable', 'unsupported'].includes(error.code)) throw error
})
await service.stop()
`

/** The same command with places that nobody has. */
const elsewhere = (command) =>
  command
    .replace(/[\w.-]+:\d+(?=[\s,/'"]|$)/g, '127.0.0.1:1')
    .replace(/=\/var\/lib\//g, '=./')
    .replace(/\b(node \S+)\.js\b/, '$1.mjs')

const folder = mkdtempSync(join(tmpdir(), 'micrograft-documents-'))
try {
  for (const name of ['node_modules', 'plugins'])
    symlinkSync(join(root, name), join(folder, name), 'junction')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'reader', type: 'module' }))
  await compile(blocks.filter(({ language }) => language === 'ts'))
  if (process.platform !== 'win32') {
    const typed = await Promise.all(blocks.filter(({ language }) => language === 'sh').map(type))
    await loadAll(typed.flatMap((cwd) => readdirSync(cwd).map((name) => join(cwd, name))))
  }
} finally {
  rmSync(folder, { recursive: true })
}
if (process.exitCode === undefined) console.log(`the code of ${documents.length} documents holds`)

async function compile(all) {
  for (const [i, { code }] of all.entries()) writeFileSync(join(folder, `${i}.ts`), `${given(code)}${code}`)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    noEmit: true,
    types: ['node'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const said = await attempt(local('tsc'), ['--project', folder])
  const places = said?.replace(
    /^(?:.*\/)?(\d+)\.ts\((\d+)/gm,
    (_, i, line) => `${at(all[i])}, line ${line} (`,
  )
  if (places) fail(places)
}

/** A few lines of a program have the service that they speak of from elsewhere in it. */
function given(code) {
  const missing = ['service', 'caller'].filter(
    (name) => new RegExp(`\\b${name}\\.`).test(code) && !code.includes(`const ${name} `),
  )
  return missing.map((name) => `declare const ${name}: import('micrograft').Service; `).join('')
}

/** Types the commands of a block, each with what continues it, and gives the folder where it did. */
async function type(block) {
  const cwd = join(folder, block.path.replaceAll('/', '-'))
  mkdirSync(cwd)
  for (const name of ['node_modules', 'plugins']) symlinkSync(join(folder, name), join(cwd, name))
  for (const command of block.code.trimEnd().split(/(?<!\\)\n/)) {
    const [, script] = /\bnode (\S+\.js)\b/.exec(command) ?? []
    if (script) writeFileSync(join(cwd, script.replace(/js$/, 'mjs')), program)
    const said = await attempt('/bin/sh', ['-c', elsewhere(command)], cwd)
    if (said !== undefined) fail(`${at(block)}: ${command}\n${said}`)
  }
  return cwd
}

/** Plugins of one name, such as `nats`, must not be in each other's way. */
async function loadAll(made) {
  const files = made.filter((path) => path.endsWith('.plugin.cjs'))
  writeFileSync(join(folder, 'all.mjs'), program)
  const said = await attempt(process.execPath, ['all.mjs', `--plugin=${files.join(',')}`])
  if (files.length === 0 || said !== undefined)
    fail(`a service does not take all ${files.length} plugins:\n${said}`)
}

/** What a command that failed has said. */
async function attempt(command, args, cwd = folder) {
  try {
    const PATH = [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
    await promisify(execFile)(command, args, { cwd, env: { ...process.env, PATH } })
    return undefined
  } catch ({ stdout, stderr }) {
    return `${stdout}${stderr}`
  }
}

function at({ path, line }) {
  return `${path}:${line}`
}

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
