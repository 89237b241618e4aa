import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from '@micrograft/plugin'
import { commandLine } from './support/command-line.js'

test('prints the manifest, digest, size and signature for a person', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write(
    'hello.ts',
    `import { hostname } from 'node:os'\nimport { register } from '@micrograft/plugin'\nexport const Hello = () => hostname()\nexport const Other = register\n`,
  )
  assert.equal((await micrograft('build', 'hello.ts', '--type', 'handler')).status, 0)
  const file = 'hello-0.0.1.plugin.cjs'
  const { status, stdout, stderr } = await micrograft('inspect', file)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const { manifest, id, bytes } = await inspect(path(file))
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'hello 0.0.1',
    `file        ${file}`,
    'type        handler',
    `size        ${bytes} bytes, ${manifest.code.bytes} of them code`,
    `digest      ${id}`,
    `code        ${manifest.code.sha256}`,
    `source map  ${manifest.map?.sha256}`,
    'symbols     Hello, Other',
    'node        >=20.19',
    `host        @micrograft/plugin ${manifest.host['@micrograft/plugin']}`,
    'imports     @micrograft/plugin, node:os',
    'signature   none',
  ])
})

test('prints the same as one line of JSON with --json', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', `export const Hello = 1\n`)
  assert.equal((await micrograft('build', 'hello.ts')).status, 0)
  const file = path('hello-0.0.1.plugin.cjs')
  const { status, stdout, stderr } = await micrograft('inspect', file, '--json')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const { manifest, id, bytes } = await inspect(file)
  const shape = JSON.parse(JSON.stringify({ path: file, id, bytes, signature: null, manifest })) as unknown
  assert.deepEqual(JSON.parse(stdout), shape)
  assert.equal(stdout.indexOf('\n'), stdout.length - 1)
})

test('runs nothing of the plugin', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', `import { writeFileSync } from 'node:fs'\nwriteFileSync('ran', '')\nexport {}\n`)
  assert.equal((await micrograft('build', 'hello.ts')).status, 0)
  assert.equal((await micrograft('inspect', 'hello-0.0.1.plugin.cjs')).status, 0)
  assert.ok(!existsSync(path('ran')))
})

test('writes out what a terminal would obey', async (t) => {
  const { micrograft, write } = await commandLine(t)
  await write('hello.ts', `const x = 1\nexport { x as '\\u001b[2J', x as '\\u202egnp' }\n`)
  assert.equal((await micrograft('build', 'hello.ts')).status, 0)
  const { status, stdout } = await micrograft('inspect', 'hello-0.0.1.plugin.cjs')
  assert.equal(status, 0)
  assert.match(stdout, /^symbols {5}\\u\{1b\}\[2J, \\u\{202e\}gnp$/m)
  const refused = await micrograft('inspect', '\u001b[2J.cjs')
  assert.match(refused.stderr, /^micrograft: there is no file .*\\u\{1b\}\[2J\.cjs; /)
})

for (const [what, content, code] of [
  ['an empty file', '', 'empty'],
  ['a file that is no plugin', 'module.exports = 1\n', 'not-a-plugin'],
] as const) {
  test(`refuses ${what} with status 1, its path and the code`, async (t) => {
    const { micrograft, write } = await commandLine(t)
    const file = await write('some.cjs', content)
    const human = await micrograft('inspect', 'some.cjs')
    assert.equal(human.status, 1)
    assert.equal(human.stdout, '')
    assert.ok(human.stderr.startsWith(`micrograft: ${file} is `), human.stderr)
    assert.ok(human.stderr.endsWith(`[${code}]\n`), human.stderr)
    const { status, stdout, stderr } = await micrograft('inspect', 'some.cjs', '--json')
    assert.equal(status, 1)
    assert.equal(stdout, '')
    const { error } = JSON.parse(stderr) as { error: { code: string; path: string } }
    assert.deepEqual([error.code, error.path], [code, file])
  })
}

test('a name with a line end in it makes no line of its own', async (t) => {
  const { micrograft, write } = await commandLine(t)
  const forged = 'signature   key 06e3fd8fda29bb60, verified'
  await write('odd.ts', `const x = 1\nexport { x as 'a\\n${forged}' }\n`)
  assert.equal((await micrograft('build', 'odd.ts', '-o', 'odd.plugin.cjs')).status, 0)
  const { stdout, status } = await micrograft('inspect', 'odd.plugin.cjs')
  assert.equal(status, 0)
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.startsWith('signature')),
    ['signature   none'],
  )
  assert.match(stdout, /^symbols     a\\u\{a\}signature/m)
})

test('a reason of several lines is told in one', async (t) => {
  const { micrograft, write } = await commandLine(t)
  await write('odd.ts', `throw new Error('first\\nsecond')\nexport {}\n`)
  assert.equal((await micrograft('build', 'odd.ts', '-o', 'odd.plugin.cjs', '--type', 'handler')).status, 0)
  const { stderr, status } = await micrograft('run', 'odd.plugin.cjs', '--registry=memory')
  assert.equal(status, 1)
  assert.match(stderr, /^micrograft: .*first\\u\{a\}second.*\]\n$/)
})
