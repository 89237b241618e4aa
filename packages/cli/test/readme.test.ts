import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commandLine } from './support/command-line.js'

const readme = await readFile(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')

/** The commands of each `sh` block, word by word. */
const blocks = [...readme.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) =>
  (block as string)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')),
)

test('every command of the README does what it says, one after another', async (t) => {
  const { micrograft, write } = await commandLine(t)
  const peerDependencies = { 'acme-sdk': '^1.0.0', 'acme-log': '^1.0.0' }
  await write('package.json', JSON.stringify({ name: 'readme', version: '0.0.1', peerDependencies }))
  for (const entry of ['hello.ts', 'goodbye.ts']) await write(entry, `export const Hello = 1\n`)
  assert.equal(blocks.length, 4)
  for (const [command, ...args] of blocks.flat()) {
    assert.equal(command, 'micrograft')
    const { status, stderr } = await micrograft(...args)
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, args.join(' '))
  }
})

test('the README names every option of every command', async (t) => {
  const { micrograft } = await commandLine(t)
  for (const command of ['build', 'inspect', 'keygen']) {
    const { stdout } = await micrograft(command, '--help')
    const section = readme.split('\n## ').find((each) => each.startsWith(`micrograft ${command}`)) ?? ''
    const described = [...section.matchAll(/^\| (?:`-\w`, )?`(--[\w-]+)/gm)].map(([, name]) => name)
    const there = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name)
    assert.deepEqual(
      described,
      there.filter((name) => name !== '--help'),
      command,
    )
  }
})
