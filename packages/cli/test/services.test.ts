import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commandLine, type CommandLine } from './support/command-line.js'

const greeter = `
import { definePlugin, type HandlerContext } from '@micrograft/contracts'
export const Plugin = definePlugin({
  name: 'greeter',
  type: 'handler',
  version: '1.2.0',
  newFunc: () => ({
    endpoints: {
      Say: {
        Hello: async ({ name }: { name: string }, { metadata }: HandlerContext) => ({ msg: \`\${metadata['greeting'] ?? 'Hello'} \${name}\` }),
        async *Count({ to }: { to: number }) {
          for (let i = 1; i <= to; i++) yield i
        },
        Nothing: () => undefined,
      },
    },
    [Symbol.asyncDispose]: async () => undefined,
  }),
})
`

/** A greeter that runs from a plugin file, and a registry of the test's own. */
async function running(
  t: TestContext,
): Promise<{ line: CommandLine; flags: string[]; address: string; stop: () => Promise<number | null> }> {
  const line = await commandLine(t)
  await line.write(
    'settings.json',
    JSON.stringify({ registry: 'local', registry_address: [line.path('nodes')] }),
  )
  await line.write('greeter.ts', greeter)
  const built = await line.micrograft('build', 'greeter.ts', '-o', 'greeter.plugin.cjs', '--type', 'handler')
  assert.equal(built.status, 0, built.stderr)
  const flags = ['--config_file=settings.json', '--log_level=error']
  const run = line.start('run', 'greeter.plugin.cjs', ...flags, '--json')
  const { name, address } = JSON.parse(await run.line()) as { name: string; address: string }
  assert.equal(name, 'greeter')
  return { line, flags, address, stop: () => run.stop('SIGTERM') }
}

test('runs a service from a plugin file, lists it, describes it and calls it', async (t) => {
  const { line, flags, address, stop } = await running(t)

  const listed = await line.micrograft('services', ...flags)
  assert.equal(listed.stdout, 'greeter  1.2.0  1 node\n')
  const [record] = JSON.parse((await line.micrograft('services', '--json', ...flags)).stdout) as [
    { name: string; nodes: { address: string }[] },
  ]
  assert.deepEqual([record.name, record.nodes[0]?.address], ['greeter', address])

  const described = await line.micrograft('describe', 'greeter', ...flags)
  assert.match(
    described.stdout,
    /^greeter 1\.2\.0\n {2}Say\.Count {2}\(gives a stream\)\n {2}Say\.Hello\n {2}Say\.Nothing\n {2}node greeter-\S+ at 127\.0\.0\.1:\d+ /,
  )

  assert.deepEqual(
    await line.micrograft('call', 'greeter', 'Say.Hello', '{"name":"John"}', '--json', ...flags),
    { status: 0, stdout: '{"msg":"Hello John"}\n', stderr: '' },
  )
  assert.equal(
    (
      await line.micrograft(
        'call',
        'greeter',
        'Say.Hello',
        '{"name":"John"}',
        ...flags,
        '--metadata',
        'greeting=Hi',
      )
    ).stdout,
    '{\n  "msg": "Hi John"\n}\n',
  )
  // What it prints is JSON also where there is nothing to print.
  assert.equal((await line.micrograft('call', 'greeter', 'Say.Nothing', '--json', ...flags)).stdout, 'null\n')
  assert.equal(
    (await line.micrograft('call', 'greeter', 'Say.Count', '{"to":2}', '--stream', ...flags)).stdout,
    '1\n2\n',
  )
  assert.equal(
    (await line.micrograft('call', 'whoever', 'Say.Hello', '{"name":"John"}', '--json', '--address', address))
      .stdout,
    '{"msg":"Hello John"}\n',
  )

  assert.equal(await stop(), 0)
  assert.equal((await line.micrograft('services', ...flags)).stdout, 'no service is registered\n')
})

test('refuses words that it has no place for, as wrong usage', async (t) => {
  const { micrograft } = await commandLine(t)
  for (const [args, words] of [
    [['services', 'greeter'], '"greeter"'],
    [['services', '--registry', 'local'], '"local"'],
    [['describe', 'greeter', '1.2.0', '--registry=local'], '"1.2.0"'],
    [['run', 'greeter.plugin.cjs', 'other.plugin.cjs'], '"other.plugin.cjs"'],
    [['call', 'greeter', 'Say.Hello', '{name:', 'John}'], '"John}"'],
    [['call', 'greeter', 'Say.Hello', '{}', 'a', '--registry=local', 'b'], '"a", "b"'],
  ] as const) {
    const { status, stdout, stderr } = await micrograft(...args)
    assert.deepEqual([status, stdout], [2, ''], args.join(' '))
    const usage = `there is no place for ${words}; write a flag with =, and what has spaces in quotes; see micrograft ${args[0]} --help`
    assert.equal(stderr, `micrograft: ${usage} [usage]\n`)
  }
})

test('a service that is asked to end while it starts ends as one that runs does', async (t) => {
  const line = await commandLine(t)
  await line.write(
    'slow.ts',
    `
export const Plugin = {
  name: 'slow',
  type: 'handler',
  version: '1.0.0',
  async newFunc() {
    console.log('begins')
    await new Promise((resolve) => setTimeout(resolve, 200))
    return { endpoints: {}, [Symbol.asyncDispose]: async () => console.log('is disposed') }
  },
}`,
  )
  assert.equal((await line.micrograft('build', 'slow.ts', '--type', 'handler')).status, 0)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const run = line.start('run', 'slow-0.0.1.plugin.cjs', '--registry=memory', '--log_level=error')
    assert.equal(await run.line(), 'begins')
    assert.equal(await run.stop(signal), 0)
    assert.equal((await run.rest()).at(-1), 'is disposed')
  }
})

test('a service ends as it is meant to when nobody reads its output any more', async (t) => {
  const line = await commandLine(t)
  await line.write(
    'talks.ts',
    `
import { writeFileSync } from 'node:fs'
export const Plugin = {
  name: 'talks',
  type: 'handler',
  version: '1.0.0',
  newFunc: () => ({
    endpoints: { Say: { Hello: () => { console.log('called'); return 1 } } },
    async [Symbol.asyncDispose]() {
      console.log('ends')
      await new Promise((resolve) => setTimeout(resolve, 50))
      writeFileSync('ended', '')
    },
  }),
}`,
  )
  assert.equal((await line.micrograft('build', 'talks.ts', '--type', 'handler')).status, 0)
  const run = line.start('run', 'talks-0.0.1.plugin.cjs', '--log_level=error')
  await run.line()
  run.closeOutput()
  await line.micrograft('call', 'talks', 'Say.Hello')
  assert.equal(await run.ended, 0)
  assert.equal(await line.read('ended'), '')
  assert.equal((await line.micrograft('services')).stdout, 'no service is registered\n')
})

test('says in one line that a service did not stop cleanly, and ends with 1', async (t) => {
  const line = await commandLine(t)
  await line.write(
    'stuck.ts',
    `
export const Plugin = {
  name: 'stuck',
  type: 'handler',
  version: '1.0.0',
  newFunc: () => ({
    endpoints: { Say: { Hello: () => 1 } },
    async [Symbol.asyncDispose]() { throw new Error('it is stuck') },
  }),
}`,
  )
  assert.equal((await line.micrograft('build', 'stuck.ts', '--type', 'handler')).status, 0)
  const run = line.start('run', 'stuck-0.0.1.plugin.cjs', '--registry=memory', '--log_level=error')
  await run.line()
  assert.equal(await run.stop('SIGTERM'), 1)
  assert.match(
    await run.errorLine(),
    /^micrograft: stuck stopped, but not cleanly: .*it is stuck \[internal\]$/,
  )
  await assert.rejects(run.errorLine(), /ended without another line/)
})

test('says what is wrong with a call, and ends with 1', async (t) => {
  const { line, flags } = await running(t)
  const refused = async (...args: string[]) => {
    const { status, stderr } = await line.micrograft(...args)
    assert.equal(status, 1)
    return stderr
  }
  assert.match(
    await refused('call', 'greeter', 'Say.Nowhere', ...flags),
    /no endpoint Say\.Nowhere.*\[not-found\]/,
  )
  assert.match(await refused('call', 'nobody', 'Say.Hello', ...flags), /nobody.*\[not-found\]/)
  assert.match(
    await refused('call', 'greeter', 'Say.Hello', '{name', ...flags),
    /the request is not JSON.*\[bad-request\]/,
  )
  assert.match(
    await refused('describe', 'nobody', ...flags),
    /no node of nobody is registered.*\[not-found\]/,
  )
  assert.match(await refused('services', '--registry=locl'), /did you mean local\?.*\[invalid-option\]/)
  assert.match(
    await refused('services', '--regstry=local'),
    /--regstry.*did you mean registry\?.*\[invalid-option\]/,
  )
  assert.match(await refused('run', 'nothing.plugin.cjs'), /nothing\.plugin\.cjs.*\[not-found\]/)
})

test('takes plugins of several types that have one name', async (t) => {
  const { line, flags, stop } = await running(t)
  assert.equal(await stop(), 0)
  const grpc = [...flags, '--client=grpc', '--server=grpc']
  const run = line.start('run', 'greeter.plugin.cjs', ...grpc, '--json')
  await run.line()
  const called = await line.micrograft('call', 'greeter', 'Say.Hello', '{"name":"John"}', '--json', ...grpc)
  assert.deepEqual(called, { status: 0, stdout: '{"msg":"Hello John"}\n', stderr: '' })
  assert.equal(await run.stop('SIGTERM'), 0)

  const plugins = ['broker-nats', 'registry-nats', 'store-nats', 'transport-nats'].map((name) =>
    fileURLToPath(new URL(`../../../plugins/${name}/dist/${name}.plugin.cjs`, import.meta.url)),
  )
  assert.deepEqual(await line.micrograft('services', ...flags, `--plugin=${plugins.join(',')}`), {
    status: 0,
    stdout: 'no service is registered\n',
    stderr: '',
  })
})

test('refuses to run a plugin that answers no calls', async (t) => {
  const line = await commandLine(t)
  await line.write(
    'store.ts',
    `export const Plugin = { name: 'kept', type: 'store', version: '1.0.0', newFunc: () => ({}) }`,
  )
  await line.micrograft('build', 'store.ts', '-o', 'store.plugin.cjs')
  const { status, stderr } = await line.micrograft('run', 'store.plugin.cjs')
  assert.equal(status, 1)
  assert.match(stderr, /is a store and answers no calls.*\[invalid-option\]/)
})
