import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Selection, Selector } from '@micrograft/contracts'
import { componentContext, selectorCases, until, type SelectorSubject } from '@micrograft/testing'
import { dnsSelector, type DnsSelectorOptions } from '../dist/selector/dns-selector.js'
import { complyEveryWay } from './support/comply-every-way.js'
import { openDnsServer, type DnsServer } from './support/dns-server.js'

const reason = 'DNS tells addresses, and neither versions, labels nor endpoints'
let server = await openDnsServer()

complyEveryWay('dns selector', selectorCases, {
  type: 'selector',
  name: 'dns',
  file: 'selector/dns-selector',
  factory: 'dnsSelector',
  options: () => ({ servers: [server.address], refreshMs: 20, timeoutMs: 500 }),
  subject: (selector): SelectorSubject => {
    const used = server
    return {
      selector,
      async place(service, placed) {
        set(
          used,
          service,
          placed.map(({ address }) => address),
        )
      },
      async [Symbol.asyncDispose]() {
        await selector[Symbol.asyncDispose]()
        used.records.length = 0
      },
    }
  },
  skip: {
    'a version chooses among its nodes, and is unavailable where it has none': reason,
    'labels choose among the nodes that have all of them': reason,
    'an endpoint chooses among the nodes that serve it, or do not say what they serve': reason,
    'a filter holds for nodes that come later': reason,
    "the caller's options stay as they were": reason,
  },
})

/** Makes these the SRV records of a service, each with a host of its own. */
function set({ records }: DnsServer, service: string, addresses: readonly string[], priority = 10): void {
  const owner = `_${service}._tcp.local.`
  records.splice(
    0,
    records.length,
    ...records.filter(({ name }) => name !== owner && !name.endsWith(`.${owner}`)),
  )
  for (const address of addresses) {
    const [ip = '', port] = address.split(':')
    const target = `h${ip.replaceAll('.', '-')}.${owner}`
    records.push({ type: 'SRV', name: owner, ttl: 1, priority, weight: 1, port: Number(port), target })
    records.push({ type: 'A', name: target, ttl: 1, address: ip })
  }
}

function open(t: TestContext, options: DnsSelectorOptions): Selector {
  const selector = dnsSelector({ servers: [server.address], timeoutMs: 200, ...options }, componentContext())
  t.after(() => selector[Symbol.asyncDispose]())
  return selector
}

function addresses({ nodes }: Selection): string {
  return nodes.map(({ address }) => address).join(' ')
}

test('a host and port are the addresses of the host', async (t) => {
  server.records.push(
    { type: 'A', name: 'box.test.', ttl: 1, address: '127.0.0.7' },
    { type: 'A', name: 'box.test.', ttl: 1, address: '127.0.0.8' },
    { type: 'AAAA', name: 'box.test.', ttl: 1, address: '::1' },
  )
  const selector = open(t, { metadata: { protocol: 'rpc' } })
  const selection = await selector.select('box.test:80')
  assert.equal(addresses(selection), '127.0.0.7:80 127.0.0.8:80 [::1]:80')
  assert.deepEqual(selection.next().metadata, { protocol: 'rpc' })
  assert.equal(addresses(await selector.select('10.1.2.3:99')), '10.1.2.3:99')
  assert.equal(addresses(await selector.select('[::1]:99')), '[::1]:99')
})

test('SRV records are looked up below the domain, and those of the best priority count', async (t) => {
  server.records.push(
    {
      type: 'SRV',
      name: '_greeter._tcp.corp.test.',
      ttl: 1,
      priority: 1,
      weight: 0,
      port: 1,
      target: 'box.test.',
    },
    {
      type: 'SRV',
      name: '_greeter._tcp.corp.test.',
      ttl: 1,
      priority: 2,
      weight: 0,
      port: 2,
      target: 'box.test.',
    },
  )
  assert.equal(
    addresses(await open(t, { domain: 'corp.test' }).select('greeter')),
    '127.0.0.7:1 127.0.0.8:1 [::1]:1',
  )
})

test('a target without an address is no node', async (t) => {
  server.records.push({
    type: 'SRV',
    name: '_lost._tcp.local.',
    ttl: 1,
    priority: 1,
    weight: 0,
    port: 1,
    target: 'nobody.test.',
  })
  const selection = await open(t, {}).select('lost')
  assert.throws(() => selection.next(), { code: 'not-found' })
})

test('a name server that fails or is silent is unavailable, and later leaves the nodes as they were', async (t) => {
  set(server, 'greeter', ['127.0.0.1:1'])
  const selector = open(t, { refreshMs: 10 })
  const selection = await selector.select('greeter')
  for (const mode of ['fail', 'silent'] as const) {
    server.mode = mode
    await assert.rejects(selector.select('greeter'), {
      code: 'unavailable',
      message: /_greeter\._tcp\.local/,
    })
    const { asked } = server
    await until('it is asked again', () => server.asked > asked + 1)
    assert.equal(addresses(selection), '127.0.0.1:1')
  }
  server.mode = 'answer'
  set(server, 'greeter', ['127.0.0.2:2'])
  await until('it has caught up', () => addresses(selection) === '127.0.0.2:2')
})

test('a name server that fails for addresses of IPv6 alone is believed for those of IPv4', async (t) => {
  t.after(() => {
    server.failsForIPv6 = false
    server.records.length = 0
  })
  server.failsForIPv6 = true
  server.records.push({ type: 'A', name: 'old.test.', ttl: 1, address: '10.0.0.1' })
  const selector = open(t, {})
  assert.equal(addresses(await selector.select('old.test:80')), '10.0.0.1:80')
  await assert.rejects(selector.select('none.test:80'), { code: 'unavailable' })
})

test('an abort while a silent name server is waited for rejects at once', async (t) => {
  const silent = await openDnsServer()
  t.after(() => silent[Symbol.asyncDispose]())
  silent.mode = 'silent'
  const controller = new AbortController()
  const given = new Error('given up')
  const started = performance.now()
  const selecting = open(t, { servers: [silent.address], timeoutMs: 10_000 }).select('greeter', controller)
  await until('it is asked', () => silent.asked > 0)
  controller.abort(given)
  await assert.rejects(selecting, given)
  assert.ok(performance.now() - started < 5000)
})

test('a selector that is disposed meanwhile is closed', async (t) => {
  const silent = await openDnsServer()
  t.after(() => silent[Symbol.asyncDispose]())
  silent.mode = 'silent'
  const selector = open(t, { servers: [silent.address], timeoutMs: 10_000 })
  const started = performance.now()
  const selecting = assert.rejects(selector.select('greeter'), { code: 'closed' })
  await until('it is asked', () => silent.asked > 0)
  await selector[Symbol.asyncDispose]()
  await selecting
  assert.ok(performance.now() - started < 5000)
})

test('name servers that are none are refused', () => {
  assert.throws(() => dnsSelector({ servers: ['localhost'] }, componentContext()), { code: 'invalid-option' })
})

test('the name server is closed at the end', async () => {
  await server[Symbol.asyncDispose]()
})
