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

/** Blocks that are files: those that begin with the name of one. */
const files = [...readme.matchAll(/^```ts\n(\/\/ (\S+\.ts)\n[^]*?)^```$/gm)]

test('every command of the README does what it says, one after another', async (t) => {
  const { micrograft, start, write } = await commandLine(t)
  const peerDependencies = { 'acme-sdk': '^1.0.0', 'acme-log': '^1.0.0' }
  await write('package.json', JSON.stringify({ name: 'readme', version: '0.0.1', peerDependencies }))
  for (const entry of ['hello.ts', 'goodbye.ts']) await write(entry, `export const Hello = 1\n`)
  for (const [, content, name] of files) await write(name as string, content as string)
  assert.deepEqual([blocks.length, files.length], [6, 2])
  for (const [command, ...words] of blocks.flat()) {
    assert.equal(command, 'micrograft')
    const args = words.map((word) => word.replace(/^'(.*)'$/, '$1'))
    if (args.at(-1) === '&') {
      // It goes on, and is of use to the others from its first line on.
      assert.match(await start(...args.slice(0, -1)).line(), /^greeter answers at /)
      continue
    }
    const { status, stdout, stderr } = await micrograft(...args)
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, args.join(' '))
    if (args[0] === 'call') assert.deepEqual(JSON.parse(stdout), { msg: 'Hello John' })
  }
})

test('the README names every option of every command', async (t) => {
  const { micrograft } = await commandLine(t)
  for (const command of ['build', 'inspect', 'keygen', 'swap']) {
    const { stdout } = await micrograft(command, '--help')
    const begins = command === 'swap' ? 'Swapping parts' : `micrograft ${command}`
    const section = readme.split('\n## ').find((each) => each.startsWith(begins)) ?? ''
    const described = [...section.matchAll(/^\| (?:`-\w`, )?`(--[\w-]+)/gm)].map(([, name]) => name)
    const there = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name)
    assert.deepEqual(
      described,
      there.filter((name) => name !== '--help'),
      command,
    )
  }
})
