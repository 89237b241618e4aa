import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { commandLine } from './support/command-line.js'

const source = `export function Hello(): string { return 'hello' }\n`

test('refuses an entry that is not there with status 1, its path and the code', async (t) => {
  const { micrograft, path } = await commandLine(t)
  const { status, stdout, stderr } = await micrograft('build', 'none.ts')
  assert.deepEqual(
    { status, stdout, stderr },
    {
      status: 1,
      stdout: '',
      stderr: `micrograft: there is no source file ${path('none.ts')}; correct the path [entry-not-found]\n`,
    },
  )
})

test('prints an error as one line of JSON with --json, all its problems told', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('broken.ts', `import './a.js'\nimport './b.js'\nexport const x = 1\n`)
  const { status, stdout, stderr } = await micrograft('build', 'broken.ts', '--json')
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.equal(stderr.indexOf('\n'), stderr.length - 1)
  const { error, ...rest } = JSON.parse(stderr) as { error: Record<string, unknown> }
  assert.deepEqual(rest, {})
  assert.deepEqual(Object.keys(error), ['code', 'message', 'path', 'problems'])
  assert.equal(error['code'], 'unresolved-import')
  assert.equal(error['path'], path('broken.ts'))
  const problems = error['problems'] as { code: string; message: string }[]
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['unresolved-import', 'unresolved-import'],
  )
  assert.match(problems[1]?.message ?? '', /^broken\.ts:2:8: .*\.\/b\.js/)
})

test('builds the other entries where one is refused, and ends with 1', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('broken.ts', 'export const = 1')
  await write('hello.ts', source)
  const { status, stdout, stderr } = await micrograft('build', 'broken.ts', 'hello.ts', '-o', 'out')
  assert.equal(status, 1)
  assert.match(stdout, /^out\/hello-0\.0\.1\.plugin\.cjs {2}.*\n$/)
  assert.match(stderr, /^micrograft: .*broken\.ts:1:14: .* \[syntax-error\]\n$/)
  assert.ok(existsSync(path('out/hello-0.0.1.plugin.cjs')))
})

test('refuses two entries that are built to one file', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('a/hello.ts', source)
  await write('b/hello.ts', source)
  const { status, stderr } = await micrograft('build', 'a/hello.ts', 'b/hello.ts', '-o', 'out')
  assert.equal(status, 1)
  assert.ok(
    stderr.startsWith(
      `micrograft: a/hello.ts and b/hello.ts are both built to ${path('out/hello-0.0.1.plugin.cjs')},`,
    ),
    stderr,
  )
  assert.match(stderr, /\[invalid-option\]\n$/)
})

for (const [option, value, code] of [
  ['--name', '../hello', 'invalid-name'],
  ['--version', 'one', 'invalid-version'],
  ['--type', 'Handler', 'invalid-name'],
  ['--node', 'newest', 'invalid-range'],
] as const) {
  test(`refuses ${option} ${value} and says what it may be`, async (t) => {
    const { micrograft, write } = await commandLine(t)
    await write('hello.ts', source)
    const { status, stderr } = await micrograft('build', 'hello.ts', option, value)
    assert.equal(status, 1)
    assert.ok(stderr.includes(JSON.stringify(value)), stderr)
    assert.ok(stderr.endsWith(`[${code}]\n`), stderr)
  })
}

test('refuses an output that cannot be written', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const { status, stderr } = await micrograft('build', 'hello.ts', '-o', 'hello.ts/out.plugin.cjs')
  assert.equal(status, 1)
  assert.ok(stderr.includes(path('hello.ts/out.plugin.cjs')), stderr)
  assert.match(stderr, /\[write-failed\]\n$/)
})
