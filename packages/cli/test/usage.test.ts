import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { commandLine } from './support/command-line.js'

test('prints the version of the package with --version', async (t) => {
  const { micrograft } = await commandLine(t)
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  assert.deepEqual(await micrograft('--version'), { status: 0, stdout: `${version}\n`, stderr: '' })
})

test('prints every command and examples with --help', async (t) => {
  const { micrograft } = await commandLine(t)
  const { status, stdout, stderr } = await micrograft('--help')
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
  for (const command of ['build', 'inspect', 'keygen']) {
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'))
    assert.match(stdout, new RegExp(`^  micrograft ${command} `, 'm'))
  }
})

test('prints the options of a command with --help after it', async (t) => {
  const { micrograft } = await commandLine(t)
  const { status, stdout } = await micrograft('build', '--help')
  assert.equal(status, 0)
  for (const option of [
    '-o, --out',
    '--name',
    '--version',
    '--type',
    '--external',
    '--node',
    '--minify',
    '--no-source-map',
    '--sign',
    '--watch',
    '--json',
  ])
    assert.match(stdout, new RegExp(`^  ${option}\\b`, 'm'))
})

test('prints help to stderr with status 2 where no command is given', async (t) => {
  const { micrograft } = await commandLine(t)
  const { status, stdout, stderr } = await micrograft()
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
  assert.match(stderr, /^Usage: micrograft /)
})

for (const [what, args, message] of [
  ['the nearest of an unknown command', ['bild'], "unknown command 'bild'; did you mean build?"],
  [
    'all commands where none is near',
    ['frobnicate'],
    "unknown command 'frobnicate'; there are build, inspect, keygen, run, services, describe, call, plugins, swap, share, rollback",
  ],
  [
    'the nearest of an unknown option',
    ['build', 'a.ts', '--minfy'],
    "unknown option '--minfy'; did you mean --minify?",
  ],
  [
    'the help where no option is near',
    ['keygen', '--zzzzzzzz'],
    "unknown option '--zzzzzzzz'; see micrograft keygen --help",
  ],
  ['a missing entry', ['build'], "missing required argument 'entry'; see micrograft build --help"],
  [
    'the option that took the entry',
    ['build', '--external', 'pg', 'a.ts'],
    "missing required argument 'entry'; --external takes every name after it, so put it last",
  ],
  [
    'the option that took the file',
    ['inspect', '--verify', 'k.pub', 'a.plugin.cjs'],
    "missing required argument 'file'; --verify takes every name after it, so put it last",
  ],
  [
    'an option without its value',
    ['build', 'a.ts', '--sign'],
    "option '--sign <keyfile>' argument missing; see micrograft build --help",
  ],
  [
    'an argument too many',
    ['keygen', 'x'],
    "too many arguments for 'keygen'. Expected 0 arguments but got 1; see micrograft keygen --help",
  ],
  [
    '--name with several entries',
    ['build', 'a.ts', 'b.ts', '--name', 'x'],
    '--name is for one entry and there are 2; build them one by one; see micrograft build --help',
  ],
] as const) {
  test(`names ${what}, with status 2`, async (t) => {
    const { micrograft } = await commandLine(t)
    assert.deepEqual(await micrograft(...args), {
      status: 2,
      stdout: '',
      stderr: `micrograft: ${message} [usage]\n`,
    })
  })
}

test('prints wrong usage as JSON with --json', async (t) => {
  const { micrograft } = await commandLine(t)
  const { status, stdout, stderr } = await micrograft('inspct', '--json')
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
  const message = "unknown command 'inspct'; did you mean inspect?"
  assert.deepEqual(JSON.parse(stderr), {
    error: { code: 'usage', message, path: null, problems: [{ code: 'usage', message }] },
  })
})
