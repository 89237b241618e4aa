import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { bin, commandLine } from './support/command-line.js'

/** Runs the command in a terminal of its own, which `script` of util-linux makes. */
function inTerminal(folder: string, args: string, env: NodeJS.ProcessEnv): string {
  const command = `'${process.execPath}' '${bin}' ${args}`
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
  })
  return stdout
}

const skip =
  process.platform === 'linux' && spawnSync('script', ['--version']).status === 0
    ? false
    : 'needs the command script of util-linux'

test('colours for a terminal, and not where NO_COLOR is set', { skip }, async (t) => {
  const { folder, write } = await commandLine(t)
  await write('hello.ts', `export const Hello = 1\n`)
  const begins = (args: string, env: NodeJS.ProcessEnv, beginning: string) =>
    assert.equal(inTerminal(folder, args, env).slice(0, beginning.length), beginning)
  begins('build hello.ts', {}, '\u001b[1mhello-0.0.1.plugin.cjs\u001b[22m ')
  begins('build none.ts', {}, '\u001b[31mmicrograft:\u001b[39m there is no')
  begins('build hello.ts', { NO_COLOR: '1' }, 'hello-0.0.1.plugin.cjs ')
  begins('build none.ts', { NO_COLOR: '1' }, 'micrograft: there is no')
})

test('prints JSON without colour in a terminal too', { skip }, async (t) => {
  const { folder, write } = await commandLine(t)
  await write('hello.ts', `export const Hello = 1\n`)
  assert.match(inTerminal(folder, 'build hello.ts --json', {}), /^\{"path":/)
  assert.match(inTerminal(folder, 'build none.ts --json', {}), /^\{"error":/)
})
