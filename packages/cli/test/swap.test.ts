import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { commandLine, type CommandLine, type Running } from './support/command-line.js'

const source = (version: string, body = "({ msg: 'Hello ' + name })") => `
export const Plugin = {
  name: 'greeter',
  type: 'handler',
  version: '${version}',
  newFunc: () => ({
    endpoints: { Say: { Hello: ({ name }: { name: string }) => ${body}, Wait: ({ ms }: { ms: number }) => new Promise((resolve) => setTimeout(() => resolve('${version}'), ms)) } },
    async [Symbol.asyncDispose]() {},
  }),
}
`

interface Greeter {
  readonly line: CommandLine
  readonly flags: readonly string[]
  readonly run: Running
  hello(): Promise<string>
}

async function greeter(t: TestContext, ...more: string[]): Promise<Greeter> {
  const line = await commandLine(t)
  await line.write(
    'settings.json',
    JSON.stringify({ registry: 'local', registry_address: [line.path('nodes')], log_level: 'error' }),
  )
  const build = async (version: string, body?: string) => {
    await line.write(`greeter-${version}.ts`, source(version, body))
    const built = await line.micrograft(
      'build',
      `greeter-${version}.ts`,
      '--name',
      'greeter',
      '--version',
      version,
      '-o',
      `v${version[0]}.plugin.cjs`,
      '--type',
      'handler',
    )
    assert.equal(built.status, 0, built.stderr)
  }
  await build('1.0.0')
  await build('2.0.0', "({ msg: 'Good day ' + name })")
  await build('3.0.0', "{ throw new Error('broken') }")
  await line.write('plugins/notes.txt', 'a folder may be empty')
  const flags = ['--config_file=settings.json']
  const run = line.start('run', 'v1.plugin.cjs', ...flags, ...more, '--json')
  await run.line()
  const hello = async () =>
    (await line.micrograft('call', 'greeter', 'Say.Hello', '{"name":"John"}', ...flags)).stdout.trim()
  return { line, flags, run, hello }
}

test('swaps a handler of a running service, and goes back', async (t) => {
  const { line, hello, run } = await greeter(t)
  assert.match(await hello(), /Hello John/)

  const swapped = await line.micrograft('swap', 'greeter', 'handler', 'v2.plugin.cjs', '--watch', '0s')
  assert.deepEqual([swapped.status, swapped.stderr], [0, ''])
  assert.match(
    swapped.stdout,
    /^handler greeter: preparing greeter 2\.0\.0 beside greeter 1\.0\.0\nhandler greeter: calls go to greeter 2\.0\.0\nhandler greeter: draining greeter 1\.0\.0: 0 active\nhandler greeter: greeter 1\.0\.0 is gone\ngreeter-\S+: greeter 1\.0\.0 → greeter 2\.0\.0 in \d+ ms\n$/,
  )
  assert.match(await hello(), /Good day John/)

  const [node] = JSON.parse((await line.micrograft('plugins', 'greeter', '--json')).stdout) as [
    { slots: { slot: string; current: string; previous?: string }[]; plugins: { version: string }[] },
  ]
  const slot = node.slots.find((each) => each.slot === 'handler greeter')
  assert.deepEqual([slot?.current, slot?.previous], ['greeter 2.0.0', 'greeter 1.0.0'])
  assert.deepEqual(
    node.plugins.map(({ version }) => version),
    ['2.0.0'],
  )
  assert.match(
    (await line.micrograft('plugins', 'greeter')).stdout,
    /handler greeter +greeter 2\.0\.0 +before: greeter 1\.0\.0/,
  )

  const back = await line.micrograft('rollback', 'greeter', 'handler')
  assert.equal(back.status, 0, back.stderr)
  assert.match(await hello(), /Hello John/)
  assert.equal(await run.stop('SIGTERM'), 0)
})

test('shares calls, raises the share, and prints lines of JSON', async (t) => {
  const { line, hello } = await greeter(t)
  const shared = await line.micrograft(
    'swap',
    'greeter',
    'handler',
    'v2.plugin.cjs',
    '--share',
    '50%',
    '--json',
  )
  const lines = shared.stdout
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each) as Record<string, unknown>)
  assert.deepEqual(
    lines.map(({ phase, outcome }) => phase ?? outcome),
    ['preparing', 'sharing', 'sharing'],
  )
  const seen = new Set([await hello(), await hello()])
  assert.equal(seen.size, 2)
  assert.match(
    (await line.micrograft('plugins', 'greeter')).stdout,
    /50 % of calls to greeter 2\.0\.0; greeter 1\.0\.0: 1 calls, 0 errors, p50/,
  )
  const all = await line.micrograft('share', 'greeter', 'handler', '100%')
  assert.equal(all.status, 0, all.stderr)
  assert.match(await hello(), /Good day John/)
})

test('a version that fails goes back by itself, and the command says so and ends with 1', async (t) => {
  const { line, flags, hello } = await greeter(t)
  const swap = line.start('swap', 'greeter', 'handler', 'v3.plugin.cjs', '--watch', '1m', '--max-errors', '0')
  for (;;) if ((await swap.line()).includes('calls go to greeter 3.0.0')) break
  for (let i = 0; i < 20; i++) {
    const failed = await line.micrograft('call', 'greeter', 'Say.Hello', '{"name":"John"}', ...flags)
    assert.equal(failed.status, 1)
  }
  assert.match(
    await swap.errorLine(),
    /calls went back from greeter 3\.0\.0 to greeter 1\.0\.0: 20 of 20 had failed \[unavailable\]/,
  )
  assert.equal(await swap.ended, 1)
  assert.match(await hello(), /Hello John/)
})

test('refusals leave the service as it was, and say why', async (t) => {
  const { line, hello } = await greeter(t)
  for (const [args, reason] of [
    [['swap', 'greeter', 'handler', 'nowhere.plugin.cjs'], /nowhere\.plugin\.cjs/],
    [
      ['swap', 'greeter', 'client', 'v2.plugin.cjs'],
      /greeter 2\.0\.0 is a handler; it cannot take the place of a client \[invalid-option\]/,
    ],
    [['swap', 'greeter', 'client', 'xrcp'], /there is no client called "xrcp".*rpc/],
    [
      ['swap', 'greter', 'handler', 'v2.plugin.cjs'],
      /there is no service greter that can be asked; there are greeter \[not-found\]/,
    ],
    [
      ['swap', 'greeter', 'handler', 'v2.plugin.cjs', '--node', 'other'],
      /there is no node other of greeter; there are greeter-/,
    ],
    [['rollback', 'greeter', 'handler'], /nothing before it to go back to \[not-found\]/],
    [['share', 'greeter', 'handler', '50%'], /no two components of handler greeter share its calls/],
  ] as const) {
    const { status, stderr } = await line.micrograft(...args)
    assert.equal(status, 1, args.join(' '))
    assert.match(stderr, reason)
  }
  for (const share of ['5 percent', '%', '', '101%', '-1', 'Infinity', '0x1']) {
    const usage = await line.micrograft('swap', 'greeter', 'handler', 'v2.plugin.cjs', '--share', share)
    assert.equal(usage.status, 2, share)
  }
  assert.match(await hello(), /Hello John/)
})

test('the admin socket is its user’s alone, and one that a killed process left stops no start', async (t) => {
  const { line, run, flags } = await greeter(t, '--server_id=12345678')
  const folder = line.path('micrograft/admin')
  const path = join(folder, 'greeter.12345678.sock')
  assert.deepEqual(await readdir(folder), ['greeter.12345678.sock'])
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(statSync(dirname(folder)).mode & 0o777, 0o700)

  const swap = line.start('swap', 'greeter', 'handler', 'v2.plugin.cjs', '--watch', '1m')
  for (;;) if ((await swap.line()).includes('calls go to')) break
  await run.stop('SIGKILL')
  assert.equal(await swap.ended, 1)
  assert.deepEqual(await readdir(folder), ['greeter.12345678.sock'])

  const again = line.start('run', 'v1.plugin.cjs', ...flags, '--server_id=12345678', '--json')
  await again.line()
  const { stdout } = await line.micrograft('plugins', 'greeter')
  assert.match(stdout, /handler greeter +greeter 1\.0\.0/)
  assert.equal(await again.stop('SIGTERM'), 0)
  assert.deepEqual(await readdir(folder), [])
})

test('a newer version that appears in the plugin folder is taken, and a broken one is not', async (t) => {
  const { line, hello, run } = await greeter(t, '--plugin_dir=plugins')
  assert.match(await hello(), /Hello John/)
  await line.write('plugins/greeter-1.5.0.plugin.cjs', 'no plugin at all')
  await line.write('plugins/greeter-2.0.0.plugin.cjs', await line.read('v2.plugin.cjs'))
  for (;;) if ((await hello()).includes('Good day John')) break
  assert.equal(await run.stop('SIGTERM'), 0)
})
