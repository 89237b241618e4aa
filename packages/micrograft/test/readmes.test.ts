import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Shell } from './support/shell.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const installed = join(root, 'node_modules')
const run = promisify(execFile)

interface Block {
  readonly language: string
  readonly code: string
  /** Where it is, for messages. */
  readonly at: string
}

async function blocksOf(name: string): Promise<readonly Block[]> {
  const text = await readFile(join(root, `packages/${name}/README.md`), 'utf8')
  return [...text.matchAll(/^```(\S*)\n([^]*?)^```$/gm)].map(({ index, 1: language = '', 2: code = '' }) => ({
    language,
    code,
    at: `packages/${name}/README.md:${text.slice(0, index).split('\n').length}`,
  }))
}

/** One README goes on with the files of those before it. */
const readmes = ['contracts', 'testing', 'micrograft']
const blocks = new Map(await Promise.all(readmes.map(async (name) => [name, await blocksOf(name)] as const)))
/** What these show is part of a plugin, and compiles. */
const parts = await Promise.all(['plugin-kit', 'nats-link', 'redis-link'].map(blocksOf))

let folder = ''

before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-readmes-')))
  await symlink(installed, join(folder, 'node_modules'), 'junction')
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'readmes', version: '1.0.0', type: 'module' }),
  )
  const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, types: ['node'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
})

after(() => rm(folder, { recursive: true, force: true }))

test('every program of the READMEs names its file and compiles', async () => {
  for (const { language, code, at } of [...blocks.values(), ...parts].flat()) {
    assert.match(language, /^(ts|sh|text)$/, at)
    if (language !== 'ts') continue
    const name = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1]
    assert.ok(name, `${at} does not say what file it is`)
    await writeFile(join(folder, name), code, { flag: 'wx' })
  }
  const compiler = join(installed, 'typescript/bin/tsc')
  const { stdout } = await run(process.execPath, [compiler, '--project', folder]).catch(
    (error: { stdout: string }) => error,
  )
  assert.equal(stdout, '')
})

for (const [name, all] of blocks) {
  const scripts = all.flatMap((block, i) => (block.language === 'sh' ? [{ block, next: all[i + 1] }] : []))
  for (const { block, next } of scripts) {
    const { code, at } = block
    const options = { skip: process.platform === 'win32' && 'the commands are for a POSIX shell' }
    test(`the commands at ${at} print what the README of ${name} says`, options, async () => {
      await using shell = new Shell(folder, {
        PATH: [join(installed, '.bin'), process.env['PATH']].join(delimiter),
        HOME: folder,
        TMPDIR: folder,
        XDG_RUNTIME_DIR: folder,
      })
      let printed = ''
      for (const line of code.trimEnd().split('\n')) printed += await shell.type(line)
      if (next?.language === 'text') assert.equal(printed, next.code, at)
    })
  }
}

test('there is something to run in each README', () => {
  assert.ok(parts.every((part) => part.some(({ language }) => language === 'ts')))
  for (const name of readmes) {
    const languages = blocks.get(name)?.map(({ language }) => language)
    assert.ok(languages?.includes('ts') && languages.includes('sh'), name)
  }
})
