import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
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
    /^greeter 1\.2\.0\n {2}Say\.Count {2}\(gives a stream\)\n {2}Say\.Hello\n {2}node greeter-\S+ at 127\.0\.0\.1:\d+ /,
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

test('says what is wrong with a call, and ends with 1', async (t) => {
  const { line, flags } = await running(t)
  const refused = async (...args: string[]) => {
    const { status, stderr } = await line.micrograft(...args)
    assert.equal(status, 1)
    return stderr
  }
  assert.match(
    await refused('call', 'greeter', 'Say.Nothing', ...flags),
    /no endpoint Say\.Nothing.*\[not-found\]/,
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
