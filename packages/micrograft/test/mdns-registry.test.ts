import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import type { Registry, RegistryEvent, RegistryWatcher, ServiceRecord } from '@micrograft/contracts'
import { componentContext, pause, registryCases, registrySubject, until } from '@micrograft/testing'
import { decodeDnsMessage, type DnsMessage } from '../dist/registry/dns-message.js'
import { entriesOf } from '../dist/registry/mdns-records.js'
import { mdnsRegistry, type MdnsRegistryOptions } from '../dist/registry/mdns-registry.js'
import { complyEveryWay } from './support/comply-every-way.js'
import { goMicro } from './support/go-micro-mdns.js'
import { noMulticast } from './support/multicast.js'

const skip = (await noMulticast()) ?? false
const group = '239.255.41.2'
let port = 20_000 + (process.pid % 20_000)

/** Options of a network that nobody else is on. */
function network(): MdnsRegistryOptions {
  return { group, port: port++, interface: '127.0.0.1' }
}

let here: MdnsRegistryOptions = {}
complyEveryWay('mdns registry', registryCases, {
  type: 'registry',
  name: 'mdns',
  file: 'registry/mdns-registry',
  factory: 'mdnsRegistry',
  options: () => (here = network()),
  subject: (registry) => registrySubject(registry, () => mdnsRegistry(here, componentContext())),
  skip: skip
    ? Object.fromEntries(registryCases.map(({ name }) => [name, skip]))
    : {
        'deregister takes out what another registry registered':
          'a node answers for itself: only the registry that registered it can take it out',
      },
})

function open(t: TestContext, options: MdnsRegistryOptions): Registry {
  const registry = mdnsRegistry(options, componentContext())
  t.after(() => registry[Symbol.asyncDispose]())
  return registry
}

function greeter(id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  const nodes = [{ id, address: '127.0.0.1:4001', metadata: {} }]
  return { name: 'greeter', version: 'latest', metadata: {}, endpoints: [], nodes, ...changes }
}

async function next(watcher: RegistryWatcher): Promise<RegistryEvent> {
  const timer = setTimeout(() => void watcher.return?.(), 10_000)
  try {
    const { value } = await watcher.next()
    assert.ok(value, 'no event within 10 s')
    return value
  } finally {
    clearTimeout(timer)
  }
}

test('two processes find each other over multicast', { skip }, async (t) => {
  const options = network()
  const registry = open(t, options)
  await registry.register(greeter('here'))
  const watcher = await registry.watch({ service: 'greeter' })
  const source = `
    import { mdnsRegistry } from ${JSON.stringify(new URL('../dist/registry/mdns-registry.js', import.meta.url).href)}
    import { componentContext } from ${JSON.stringify(import.meta.resolve('@micrograft/testing'))}
    const registry = mdnsRegistry(${JSON.stringify(options)}, componentContext())
    await registry.register(${JSON.stringify(greeter('there'))}, { ttlMs: 1000 })
    const [found] = await registry.get('greeter')
    console.log(found.nodes.map(({ id }) => id).join())
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  assert.equal(line, 'here,there')
  assert.equal((await next(watcher)).service.nodes[0]?.id, 'there')
  const [found] = await registry.get('greeter')
  assert.deepEqual(
    found?.nodes.map(({ id }) => id),
    ['here', 'there'],
  )
  child.kill('SIGKILL')
  const { type, service } = await next(watcher)
  assert.deepEqual([type, service.nodes[0]?.id], ['delete', 'there'])
})

/** A peer that speaks DNS alone: it hears the group, and asks from a port of its own. */
async function peer(t: TestContext, { port: at = 0 }: MdnsRegistryOptions) {
  const [everybody, own] = [createSocket({ type: 'udp4', reuseAddr: true }), createSocket('udp4')]
  t.after(() => {
    everybody.close()
    own.close()
  })
  const heard: DnsMessage[] = []
  const answers: { readonly bytes: Buffer; readonly message: DnsMessage; readonly port: number }[] = []
  everybody.on('message', (bytes) => {
    try {
      heard.push(decodeDnsMessage(bytes))
    } catch {
      // Noise that this peer itself makes.
    }
  })
  own.on('message', (bytes, from) =>
    answers.push({ bytes, message: decodeDnsMessage(bytes), port: from.port }),
  )
  everybody.bind(at)
  own.bind(0, '127.0.0.1')
  await Promise.all([once(everybody, 'listening'), once(own, 'listening')])
  everybody.addMembership(group, '127.0.0.1')
  own.setMulticastInterface('127.0.0.1')
  return { heard, answers, send: (hex: string) => own.send(Buffer.from(hex, 'hex'), at, group) }
}

test(
  'a question of go-micro is answered to where it came from, with the question in it',
  { skip },
  async (t) => {
    const options = network()
    const registry = open(t, options)
    await registry.register(greeter('greeter-1'))
    const { answers, send } = await peer(t, options)
    send(goMicro.query)
    await until('it is answered', () => answers.length > 0)
    const [answer] = answers
    assert.ok(answer)
    assert.equal(answer.port, options.port)
    assert.deepEqual([answer.message.id, answer.message.flags], [0, 0x8400])
    assert.deepEqual(answer.message.questions, [{ name: 'greeter.micro.', type: 12, class: 1 }])
    assert.deepEqual(
      answer.message.answers.map(({ type }) => type),
      ['PTR', 'SRV', 'A', 'TXT'],
    )
    assert.ok(answer.message.answers.every(({ ttl }) => ttl === 120))
    // With the bit that asks for unicast, the id is the one of the question; other types are not answered.
    send(goMicro.query.replace(/0001$/, '8001'))
    await until('it is answered', () => answers.length > 1)
    assert.equal(answers[1]?.message.id, 0x1234)
    send(goMicro.query.replace(/000c0001$/, '00100001'))
    send(goMicro.query.replace(/000c0001$/, '00ff0001'))
    await until('any is answered', () => answers.length > 2)
    assert.equal(answers.length, 3)
  },
)

test('a node is announced when it comes and said goodbye to when it goes', { skip }, async (t) => {
  const options = network()
  const registry = open(t, options)
  const { heard } = await peer(t, options)
  const ttls = (): readonly number[] =>
    heard.flatMap((message) => entriesOf(message, 'micro').map(({ ttl }) => ttl))
  await registry.register(greeter('a'))
  await until('it is announced twice', () => ttls().length === 2)
  await registry.deregister(greeter('a'))
  await until('it says goodbye', () => ttls().length === 3)
  assert.deepEqual(ttls(), [120, 120, 0])
  assert.ok(heard.every(({ id, flags, questions }) => id === 0 && flags === 0x8000 && questions.length === 0))
})

test('a node of go-micro is found, listed, watched and gone', { skip }, async (t) => {
  const options = network()
  const registry = open(t, options)
  const watcher = await registry.watch()
  const { heard, send } = await peer(t, options)
  send(goMicro.announcement)
  const created = await next(watcher)
  assert.equal(
    `${created.type} ${created.service.name} ${created.service.nodes[0]?.address}`,
    'create greeter 127.0.0.1:4001',
  )
  send(goMicro.goodbye)
  assert.equal((await next(watcher)).type, 'delete')
  const found = registry.get('greeter')
  await until('it asks', () => heard.some(({ questions }) => questions[0]?.name === 'greeter.micro.'))
  send(goMicro.answer)
  send(goMicro.answer6)
  assert.deepEqual(
    (await found)[0]?.nodes.map(({ id }) => id),
    ['greeter-1', 'greeter-6'],
  )
})

test(
  'a goodbye is taken back by another registry of the same node before any watcher hears of it',
  { skip },
  async (t) => {
    const options = network()
    const [before, taking, watching] = [open(t, options), open(t, options), open(t, options)]
    await before.register(greeter('a'))
    const watcher = await watching.watch()
    await taking.register(greeter('a'))
    await before[Symbol.asyncDispose]()
    // Longer than a goodbye is held back for.
    await pause(300)
    await taking.register(greeter('b'))
    const { type, service } = await next(watcher)
    assert.deepEqual([type, service.nodes[0]?.id], ['create', 'b'])
  },
)

test('the echo of what a registry said before is no news to its own watchers', { skip }, async (t) => {
  const registry = open(t, network())
  const watcher = await registry.watch()
  for (let i = 0; i < 20; i++) {
    const [first, second] = [greeter(`n${i}`), greeter(`n${i}`, { version: 'next' })]
    await registry.register(first)
    const registering = registry.register(second)
    assert.equal((await next(watcher)).type, 'create')
    await registering
    await registry.deregister(second)
    const types = [(await next(watcher)).type]
    while (types.at(-1) !== 'delete') types.push((await next(watcher)).type)
    assert.ok(types.length <= 2, types.join())
  }
})

test('noise on the group changes nothing', { skip }, async (t) => {
  const options = network()
  const registry = open(t, options)
  await registry.register(greeter('a'))
  const watcher = await registry.watch()
  const { send } = await peer(t, options)
  for (const hex of [
    '',
    '00',
    'ff'.repeat(600),
    goMicro.answer.slice(0, 300),
    goMicro.query.slice(0, -2),
    'c00c'.repeat(300),
  ])
    send(hex)
  send(goMicro.announcement.replace(/^00008000/, '00008003'))
  await registry.register(greeter('b'))
  assert.equal((await next(watcher)).service.nodes[0]?.id, 'b')
  assert.equal((await registry.get('greeter'))[0]?.nodes.length, 2)
})

test('no more nodes of others are kept than the limit', { skip }, async (t) => {
  const options = network()
  const [writer, reader] = [open(t, options), open(t, { ...options, maxNodes: 5 })]
  for (let i = 0; i < 20; i++) await writer.register(greeter(`n${i}`))
  assert.equal((await reader.get('greeter'))[0]?.nodes.length, 5)
})

test('domains do not see each other', { skip }, async (t) => {
  const options = network()
  const [first, second] = [open(t, options), open(t, { ...options, domain: '.other.' })]
  await first.register(greeter('a'))
  assert.deepEqual(await second.list(), [])
  await second.register(greeter('b'))
  assert.deepEqual(
    (await second.get('greeter'))[0]?.nodes.map(({ id }) => id),
    ['b'],
  )
  assert.deepEqual(
    (await first.get('greeter'))[0]?.nodes.map(({ id }) => id),
    ['a'],
  )
})

test('a name that DNS cannot write has no node, and no node of it is taken', { skip }, async (t) => {
  const registry = open(t, network())
  assert.deepEqual(await registry.get('x'.repeat(64)), [])
  assert.deepEqual(await registry.get('a..b'), [])
  await assert.rejects(registry.register(greeter('x'.repeat(64))), { code: 'bad-request' })
})

test('an abort while answers are waited for rejects at once', { skip }, async (t) => {
  const registry = open(t, { ...network(), timeoutMs: 60_000 })
  const reason = new Error('given up')
  const controller = new AbortController()
  const calls = [registry.get('greeter', controller), registry.list(controller), registry.watch(controller)]
  setTimeout(() => controller.abort(reason), 20)
  for (const call of calls) await assert.rejects(call, reason)
})

test('an interface that is not there is unavailable, with what to look for', async (t) => {
  const registry = open(t, { group, port: port++, interface: '203.0.113.77' })
  for (const call of [registry.get('greeter'), registry.register(greeter('a')), registry.watch()]) {
    await assert.rejects(call, { code: 'unavailable', message: /203\.0\.113\.77/ })
  }
})

test('the address that a flag gives is group and port', async () => {
  for (const addresses of [
    ['239.0.0.1'],
    ['localhost:5353'],
    ['239.0.0.1:5353', '239.0.0.2:5353'],
    ['239.0.0.1:0'],
  ]) {
    assert.throws(() => mdnsRegistry({ addresses }, componentContext()), { code: 'invalid-option' })
  }
  for (const addresses of [['239.0.0.1:5353'], ['[ff02::fb]:5353'], undefined]) {
    await mdnsRegistry({ addresses }, componentContext())[Symbol.asyncDispose]()
  }
})

test('a record that no message can carry is refused when it is registered', { skip }, async (t) => {
  const options = network()
  const registry = open(t, options)
  const metadata = Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [`noise-${i}`, randomBytes(6000).toString('base64')]),
  )
  const huge = [{ id: 'a', address: '127.0.0.1:4001', metadata }]
  await assert.rejects(registry.register(greeter('a', { nodes: huge })), { code: 'too-large' })
  // Short enough for the node, and too long for the list of services.
  const name = Array.from({ length: 4 }, () => 'x'.repeat(60)).join('.')
  await assert.rejects(registry.register(greeter('a', { name })), { code: 'bad-request' })
  await registry.register(greeter('b'))
  assert.deepEqual(
    (await open(t, options).list()).map((each) => each.name),
    ['greeter'],
  )
})

test('options of the mdns registry that cannot be are refused', () => {
  for (const options of [
    { domain: '' },
    { domain: 'a..b' },
    { domain: 7 as never },
    { timeoutMs: Number.NaN },
  ]) {
    assert.throws(() => mdnsRegistry(options, componentContext()), { code: 'invalid-option' })
  }
})
