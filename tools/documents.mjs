// Holds the documents against the repository: links and what they name, commands, and that no file
// has a place of one machine in it.

import { execFileSync, execSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { anchorsOf, blocksOf, linksOf } from './markdown.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const commands = subcommands()
const places = machinePlaces()
const problems = []
const complain = (path, line, problem) => problems.push(`${relative(root, path)}:${line}: ${problem}`)

const texts = readTexts()
const documents = [...texts].filter(([path]) => path.endsWith('.md'))
for (const [path, text] of documents) {
  for (const link of linksOf(text)) checkLink(path, link)
  for (const { language, code, line } of blocksOf(text)) {
    if (language === 'sh') code.split('\n').forEach((command, i) => checkCommand(path, line + 1 + i, command))
  }
}
for (const [path, text] of texts) checkPlaces(path, text)

if (documents.length === 0) problems.push('no document was read')
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
else console.log(`${documents.length} documents and ${texts.size} text files hold`)

/** Every text file that is, or may come to be, in a commit, by its path. */
function readTexts() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  const paths = [...new Set(listed.split('\0').filter(Boolean))].map((path) => join(root, path))
  return new Map(
    paths
      .filter((path) => existsSync(path) && statSync(path).isFile())
      .map((path) => [path, readFileSync(path, 'utf8')])
      .filter(([, text]) => !text.includes('\0')),
  )
}

function checkLink(path, { shown, target, line }) {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return
  const [file, anchor] = target.split('#')
  const to = file === '' ? path : resolve(dirname(path), decodeURIComponent(file))
  if (!existsSync(to)) return complain(path, line, `there is no ${target}`)
  if (anchor && to.endsWith('.md') && !anchorsOf(readFileSync(to, 'utf8')).has(anchor))
    return complain(path, line, `${file} has no heading #${anchor}`)
  const name = /^`([\w$./-]+?)(?:\(\))?`$/.exec(shown)?.[1]
  if (name !== undefined) checkName(path, line, name, to)
}

/** A link on a name in code leads to a file of that name, or to one that has the name in it. */
function checkName(path, line, name, to) {
  if (`${to}/`.endsWith(`/${name.replace(/\/$/, '')}/`)) return
  const identifier = name.split('.').at(-1).replaceAll('$', '\\$&')
  const found = statSync(to).isFile() && new RegExp(`\\b${identifier}\\b`).test(readFileSync(to, 'utf8'))
  if (!found) complain(path, line, `${relative(root, to)} has no ${name}`)
}

/** A command that a reader may copy names a script, a file or a subcommand that is there. */
function checkCommand(path, line, command) {
  const [program, first, second] = command.trim().replace(/^npx /, '').split(/\s+/)
  const wrong = {
    npm: () => {
      const script = first === 'run' ? second : ['start', 'test'].includes(first) ? first : undefined
      return script !== undefined && !(script in scripts) && `there is no script ${script}`
    },
    node: () => {
      const script = first === '--test' ? second : first
      const names = [script, script.replace(/\.js$/, '.ts')]
      const local = blocksOf(texts.get(path)).some(({ code }) =>
        names.some((name) => code.startsWith(`// ${name}\n`)),
      )
      return !local && !existsSync(join(root, script)) && `there is no file ${script}`
    },
    micrograft: () => !commands.has(first) && `there is no command micrograft ${first}`,
    '.ci/run': () => !existsSync(join(root, '.ci/run')) && 'there is no .ci/run',
  }[program]?.()
  if (wrong) complain(path, line, wrong)
}

/** What the `micrograft` command has. */
function subcommands() {
  const folder = join(root, 'packages/cli/src')
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  return new Set(
    sources.flatMap((text) => [...text.matchAll(/\.command\('(\w+)'\)/g)].map(([, name]) => name)),
  )
}

/** Where this checkout lies, and the hosts that packages come from here. */
function machinePlaces() {
  const ordinary = new Set(['/', tmpdir(), homedir(), dirname(homedir())])
  const folders = [root, dirname(root)].filter((each) => !ordinary.has(each)).map((each) => `${each}/`)
  const registry = execSync('npm config get registry', { encoding: 'utf8', stdio: 'pipe' }).trim()
  const hosts = [registry, process.env['GOPROXY'] ?? '']
    .flatMap((each) => each.split(/[,|]/))
    .filter((each) => URL.canParse(each))
    .map((each) => new URL(each).hostname)
  return [...folders, ...hosts.filter((each) => /\.[a-z]+$/.test(each))]
}

/** No path of a machine, no host of a package registry, no mention of a document that is not there. */
function checkPlaces(path, text) {
  const lines = text.split('\n')
  for (const [i, line] of lines.entries()) {
    const place = places.find((each) => line.includes(each))
    if (place !== undefined) complain(path, i + 1, `it names a place of this machine, ${place}`)
    const home = /(?:^|[\s"'`(=])(\/(?:home|Users)\/\w+\/|[A-Z]:\\Users\\\w+)/.exec(line)?.[1]
    if (home !== undefined) complain(path, i + 1, `it names somebody's home, ${home}`)
    const mentioned = path.endsWith('.md') ? null : line.match(/\bdocs\/[\w-]+\.md\b/g)
    const document = mentioned?.find((each) => !existsSync(join(root, each)))
    if (document !== undefined) complain(path, i + 1, `there is no ${document}`)
  }
}
