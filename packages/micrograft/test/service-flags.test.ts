import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createService, type Service } from 'micrograft'
import { flagNames } from '../dist/flags/definitions.js'

async function started(
  t: TestContext,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Service> {
  const service = createService({ name: 'greeter', logger: 'noop' }).handle('Say', {
    Hello: async () => 'hello',
  })
  t.after(() => service.stop())
  await service.init(argv, env)
  await service.start()
  return service
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

test('the node is what the flags say', async (t) => {
  const service = await started(t, [
    '--registry=memory',
    '--server_name=other',
    '--server_version=2.1.0',
    '--server_id=one',
    '--server_address=127.0.0.1:0',
    '--server_advertise=example.org:80',
    '--server_metadata=zone=a',
  ])
  const { name, version, nodes } = service.record
  assert.deepEqual([name, version], ['other', '2.1.0'])
  assert.deepEqual(nodes, [
    {
      id: 'other-one',
      address: 'example.org:80',
      metadata: { zone: 'a', protocol: 'rpc', transport: 'tcp' },
    },
  ])
  assert.deepEqual((await service.use('registry').get('other'))[0]?.nodes, nodes)
})

test('every component can be chosen by its flag, and takes the options that flags give', async (t) => {
  const path = await folder(t)
  const sets: Record<string, string[]> = {
    client: [
      '--client=rpc',
      '--client_pool_size=2',
      '--client_pool_ttl=1m',
      '--client_retries=0',
      '--client_request_timeout=1s',
    ],
    broker: ['--broker=http', '--broker_address=127.0.0.1:0'],
    memory: [
      '--broker=memory',
      '--broker_address=x',
      '--store=memory',
      '--store_table=t',
      '--store_database=d',
      '--store_address=x',
    ],
    store: ['--store=file', `--store_address=${path}`, '--store_table=t', '--store_database=d'],
    registry: [
      '--registry=local',
      `--registry_address=${join(path, 'nodes')}`,
      '--register_ttl=10',
      '--register_interval=2',
    ],
    selector: ['--selector=registry'],
    transport: ['--transport=memory'],
    tracer: ['--tracer=memory'],
    auth: ['--auth=jwt'],
    config: ['--config=file', `--config_address=${join(path, 'settings.json')}`],
    logger: ['--logger=console', '--log_level=error'],
    grace: ['--server_grace=1s', '--server=rpc'],
  }
  for (const [what, flags] of Object.entries(sets)) {
    const own = flags.some((flag) => flag.startsWith('--registry=')) ? flags : ['--registry=memory', ...flags]
    const service = await started(t, own)
    if (what === 'client') assert.equal(await service.client.call('greeter', 'Say.Hello', {}), 'hello')
    await service.stop()
  }
})

test('names are read from variables too, and a flag counts before its variable', async (t) => {
  const service = await started(t, ['--server_version=flag'], {
    MICRO_REGISTRY: 'memory',
    MICRO_SERVER_NAME: 'other',
    MICRO_SERVER_VERSION: 'variable',
  })
  assert.deepEqual([service.record.name, service.record.version], ['other', 'flag'])
})

test('a value that cannot be is refused before anything is opened', async (t) => {
  const refused = async (flag: string, message: RegExp) =>
    assert.rejects(started(t, ['--registry=memory', flag]), { code: 'invalid-option', message }, flag)
  await refused('--server=rcp', /did you mean rpc\?/)
  await refused('--store=nothing', /known are file, memory/)
  await refused('--log_level=loud', /trace, debug, info/)
  await refused('--plugin_errors=maybe', /stop or warn/)
  await refused('--server_name=a b', /cannot name a service/)
  await refused('--broker_address=a:b:c', /a:b:c/)
})

test('--help shows every flag with its variable, and the names that plugins add', async (t) => {
  const lines: string[] = []
  t.mock.method(process.stdout, 'write', (text: string) => lines.push(text) > 0)
  const store = { name: 'mine', type: 'store' as const, version: '1.0.0', newFunc: () => undefined as never }
  const service = createService({ name: 'greeter', logger: 'noop', plugins: [store] })
  await service.init(['--help'], {})
  await service.run()
  t.mock.restoreAll()
  const help = lines.join('')
  for (const name of flagNames)
    assert.ok(help.includes(`--${name}`) && help.includes(`MICRO_${name.toUpperCase()}`), name)
  assert.match(help, /--store .*\[file, memory, mine\]/)
})
