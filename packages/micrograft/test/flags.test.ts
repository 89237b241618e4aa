import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDuration } from '../dist/flags/duration.js'
import { flagNames } from '../dist/flags/definitions.js'
import { parseFlags } from '../dist/flags/parse.js'

const refusal = (argv: string[], env: Record<string, string> = {}) => {
  try {
    parseFlags(argv, env)
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    assert.equal(code, 'invalid-option')
    return message
  }
  return assert.fail(`${argv.join(' ')} was taken`)
}

test('reads flags as --name=value and as --name value, and the last counts', () => {
  const { flags } = parseFlags(
    ['--client=xrpc', '--broker', 'nats', '--broker', 'http', '--client-retries=3'],
    {},
  )
  assert.deepEqual(flags, { client: 'xrpc', broker: 'http', client_retries: 3 })
})

test('reads lists, pairs, durations and seconds', () => {
  const { flags } = parseFlags(
    [
      '--broker_address=a:1,b:2',
      '--server_metadata=zone=a',
      '--server_metadata=rack=7',
      '--register_ttl=60',
      '--client_request_timeout=1m30s',
    ],
    {},
  )
  assert.deepEqual(flags, {
    broker_address: ['a:1', 'b:2'],
    server_metadata: { zone: 'a', rack: '7' },
    register_ttl: 60_000,
    client_request_timeout: 90_000,
  })
})

test('a flag counts before the environment, that before the config file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'service.json')
  await writeFile(
    file,
    JSON.stringify({ client: 'file', broker: 'file', registry: 'file', broker_address: ['x:1', 'y:2'] }),
  )
  const { flags } = parseFlags(['--client=flag'], {
    MICRO_CONFIG_FILE: file,
    MICRO_CLIENT: 'env',
    MICRO_BROKER: 'env',
  })
  assert.deepEqual(flags, {
    config_file: file,
    client: 'flag',
    broker: 'env',
    registry: 'file',
    broker_address: ['x:1', 'y:2'],
  })
})

test('every flag has its variable, and an empty one is none', () => {
  assert.deepEqual(parseFlags([], { MICRO_CLIENT: '', MICRO_STORE_TABLE: 't' }).flags, { store_table: 't' })
  for (const name of flagNames) {
    const value = { config_file: '' }[name as 'config_file'] ?? '1'
    if (
      value === '' ||
      name === 'server_metadata' ||
      name.endsWith('timeout') ||
      name.endsWith('pool_ttl') ||
      name.endsWith('grace')
    )
      continue
    assert.ok(name in parseFlags([], { [`MICRO_${name.toUpperCase()}`]: value }).flags, name)
  }
})

test('an unknown flag names the nearest and lists the known ones', () => {
  const message = refusal(['--brokr=nats'])
  assert.match(message, /--brokr/)
  assert.match(message, /did you mean broker\?/)
  for (const name of flagNames) assert.ok(message.includes(name), name)
})

test('an unknown name in the config file is refused with the file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'service.json')
  await writeFile(file, '{"cliend":"x"}')
  assert.match(refusal([`--config_file=${file}`]), /cliend.*service\.json.*did you mean client\?/s)
  await writeFile(file, '{"client":')
  assert.match(refusal([`--config_file=${file}`]), /service\.json/)
  await writeFile(file, '[]')
  assert.match(refusal([`--config_file=${file}`]), /no JSON object/)
})

test('a value that does not parse says where it came from and what is expected', () => {
  assert.match(
    refusal(['--client_request_timeout=soon']),
    /--client_request_timeout is "soon"; it takes a duration such as 500ms/,
  )
  assert.match(
    refusal([], { MICRO_REGISTER_TTL: '1.5' }),
    /MICRO_REGISTER_TTL is "1\.5"; it takes whole seconds/,
  )
  assert.match(refusal(['--client_retries=-1']), /whole number from 0 up/)
  assert.match(refusal(['--server_metadata=zone']), /name=value/)
  assert.match(refusal(['--client']), /--client has no value/)
  assert.match(refusal(['--client', '--broker=x']), /--client has no value/)
  assert.match(refusal(['greet']), /"greet" is no flag/)
})

test('what comes after -- is not looked at, and --help is told', () => {
  assert.deepEqual(parseFlags(['--help', '--', '--nonsense'], {}), { flags: {}, help: true })
})

test('durations are as Go writes them', () => {
  const cases: [string, number | undefined][] = [
    ['0', 0],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['250ms', 250],
    ['1.5h', 5_400_000],
    ['5', undefined],
    ['', undefined],
    ['5 s', undefined],
    ['-1s', undefined],
  ]
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text)
})

test('a value of the config file that is no text, number or list is refused with the file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'flags.json')
  for (const [value, name] of [
    [{ server_name: null }, 'server_name'],
    [{ broker: { name: 'nats' } }, 'broker'],
    [{ plugin: ['a', null] }, 'plugin'],
    [{ server_metadata: { zone: null } }, 'server_metadata'],
  ] as const) {
    await writeFile(file, JSON.stringify(value))
    assert.throws(() => parseFlags(['--config_file', file], {}), {
      code: 'invalid-option',
      message: new RegExp(`${name}.*flags\\.json`),
    })
  }
})
