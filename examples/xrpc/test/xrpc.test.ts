import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from '@micrograft/plugin/build'

const source = (name: string) => fileURLToPath(new URL(`../plugins/${name}.ts`, import.meta.url))
const program = (name: string) => fileURLToPath(new URL(`../dist/src/${name}.js`, import.meta.url))

let folder = ''
const files = new Map<string, string>()

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'micrograft-xrpc-'))
  const names = [
    'xrpc-client',
    'xrpc-server',
    'line-transport',
    'folder-registry',
    'folder-broker',
    'first-selector',
  ]
  for (const name of names)
    files.set(name, (await build(source(name), { name, outDir: folder, type: name.split('-')[1] })).path)
})

after(() => rm(folder, { recursive: true, force: true }))

const plugins = (...names: string[]) => names.map((name) => files.get(name) as string).join(',')

interface Run {
  readonly child: ChildProcess
  readonly lines: string[]
  readonly log: string[]
  /** Resolves when standard output has a line. */
  line(expected: string): Promise<void>
}

function start(t: TestContext, name: string, args: readonly string[], env: Record<string, string>): Run {
  const runtime = join(folder, t.name.replace(/\W/g, ''))
  mkdirSync(runtime, { recursive: true, mode: 0o700 })
  const child = spawn(process.execPath, [program(name), ...args], {
    env: {
      PATH: process.env['PATH'],
      TMPDIR: folder,
      XDG_RUNTIME_DIR: runtime,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines: string[] = []
  const log: string[] = []
  const seen = (list: string[]) => (chunk: Buffer) =>
    list.push(
      ...chunk
        .toString()
        .split('\n')
        .filter((each) => each !== ''),
    )
  child.stdout.on('data', seen(lines))
  child.stderr.on('data', seen(log))
  return {
    child,
    lines,
    log,
    async line(expected) {
      while (!lines.includes(expected)) {
        if (child.exitCode !== null)
          assert.fail(`${name} ended with ${child.exitCode} before it printed ${expected}: ${log.join('\n')}`)
        await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
      }
    },
  }
}

async function logged(run: Run, event: string): Promise<void> {
  while (!run.log.some((line) => line.includes(event))) {
    if (run.child.exitCode !== null)
      assert.fail(`ended with ${run.child.exitCode} before it logged ${event}: ${run.log.join('\n')}`)
    await Promise.race([once(run.child.stderr as NodeJS.ReadableStream, 'data'), once(run.child, 'exit')])
  }
}

/** Starts the two programs, unchanged, each with its plugins and flags, and sees them talk. */
async function talk(
  t: TestContext,
  greeter: { args?: string[]; env?: Record<string, string> },
  caller: { args?: string[]; env?: Record<string, string> } = greeter,
): Promise<{ greeter: Run; caller: Run }> {
  const service = start(t, 'greeter', greeter.args ?? [], greeter.env ?? {})
  await logged(service, '"event":"started"')
  const client = start(t, 'caller', caller.args ?? [], caller.env ?? {})
  await client.line('Hello John')
  await service.line('order 1')
  const [status] =
    client.child.exitCode === null
      ? ((await once(client.child, 'exit')) as [number])
      : [client.child.exitCode]
  assert.equal(status, 0, client.log.join('\n'))
  service.child.kill('SIGTERM')
  const [end] = (await once(service.child, 'exit')) as [number]
  assert.equal(end, 0, service.log.join('\n'))
  return { greeter: service, caller: client }
}

const made = (run: Run, event: string) => run.log.some((line) => line.includes(event))

test('talk by the default components', async (t) => {
  const { greeter, caller } = await talk(t, {})
  assert.ok(!made(greeter, 'made') && !made(caller, 'made'))
})

test('talk by a client that the framework has never heard of, chosen by a flag', async (t) => {
  const MICRO_PLUGIN = plugins('xrpc-client', 'xrpc-server')
  const { greeter, caller } = await talk(t, {
    args: ['--client=xrpc', '--server=xrpc'],
    env: { MICRO_PLUGIN },
  })
  assert.ok(made(greeter, 'xrpc server made'))
  assert.ok(made(caller, 'xrpc client made'))
})

test('talk by the same, chosen by the environment', async (t) => {
  const env = {
    MICRO_PLUGIN: plugins('xrpc-client', 'xrpc-server'),
    MICRO_CLIENT: 'xrpc',
    MICRO_SERVER: 'xrpc',
  }
  const { caller } = await talk(t, { env })
  assert.ok(made(caller, 'xrpc client made'))
})

const others: [type: string, file: string, name: string, args: string[]][] = [
  ['transport', 'line-transport', 'line', []],
  ['registry', 'folder-registry', 'folder', ['--registry_address=NODES']],
  ['broker', 'folder-broker', 'folder', ['--broker_address=MESSAGES']],
  ['selector', 'first-selector', 'first', []],
]

for (const [type, file, name, args] of others) {
  const here = (t: TestContext) =>
    args.map((each) =>
      each.replace(/[A-Z]+$/, (folderName) => join(folder, t.name.replace(/\W/g, ''), folderName)),
    )
  test(`talk by a ${type} from a plugin file, chosen by a flag`, async (t) => {
    const { caller } = await talk(t, {
      args: [`--${type}=${name}`, ...here(t)],
      env: { MICRO_PLUGIN: plugins(file) },
    })
    assert.ok(made(caller, `${name} ${type} made`))
  })
  test(`talk by a ${type} from a plugin file, chosen by the environment`, async (t) => {
    const { caller } = await talk(t, {
      args: here(t),
      env: { MICRO_PLUGIN: plugins(file), [`MICRO_${type.toUpperCase()}`]: name },
    })
    assert.ok(made(caller, `${name} ${type} made`))
  })
}

test('talk by all of them at once, from a folder', async (t) => {
  const args = [
    '--client=xrpc',
    '--server=xrpc',
    '--transport=line',
    '--registry=folder',
    `--registry_address=${join(folder, 'all-nodes')}`,
    '--broker=folder',
    `--broker_address=${join(folder, 'all-messages')}`,
    '--selector=first',
  ]
  const { greeter, caller } = await talk(t, { args, env: { MICRO_PLUGIN: folder } })
  for (const event of [
    'xrpc client made',
    'line transport made',
    'folder registry made',
    'folder broker made',
    'first selector made',
  ])
    assert.ok(made(caller, event), event)
  assert.ok(made(greeter, 'xrpc server made'))
})

test('a plugin that fails to load ends the start with its name and the reason, before the service takes a request', async (t) => {
  const { child, log } = start(t, 'greeter', [], { MICRO_PLUGIN: join(folder, 'nothing.plugin.cjs') })
  const [status] = (await once(child, 'exit')) as [number]
  assert.notEqual(status, 0)
  assert.match(log.join('\n'), /nothing\.plugin\.cjs/)
})

test('a name that no plugin brings is refused, with the known and the nearest', async (t) => {
  const { child, log } = start(t, 'greeter', ['--client=xrcp'], { MICRO_PLUGIN: plugins('xrpc-client') })
  const [status] = (await once(child, 'exit')) as [number]
  assert.notEqual(status, 0)
  assert.match(log.join('\n'), /--client=xrcp.*did you mean xrpc\?.*rpc/)
})

test('the demo tells that both talk either way, and ends by itself', async (t) => {
  const child = spawn(process.execPath, [program('demo')], {
    env: { PATH: process.env['PATH'], TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  assert.equal(child.exitCode, 0, errors)
  assert.equal(errors, '')
  assert.equal(output.match(/Hello John {2}\(greeter ended with 0/g)?.length, 2, output)
})
