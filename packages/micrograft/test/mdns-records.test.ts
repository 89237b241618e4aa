import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync, inflateSync } from 'node:zlib'
import { nodeRecords } from '@micrograft/plugin-kit'
import {
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  type DnsMessage,
  type DnsRecord,
} from '../dist/registry/dns-message.js'
import {
  entriesOf,
  instanceRecords,
  listedServices,
  listingRecords,
  mdnsNode,
  serviceRecords,
} from '../dist/registry/mdns-records.js'
import { goMicro, goMicroText } from './support/go-micro-mdns.js'

function greeter(id: string, address: string, changes = {}) {
  const shape = (name: string, field: string) => ({
    name,
    type: name,
    values: [{ name: field, type: 'string', values: [] }],
  })
  const endpoints = [
    {
      name: 'Say.Hello',
      request: shape('Request', 'name'),
      response: shape('Response', 'msg'),
      metadata: {},
    },
  ]
  const metadata = { transport: 'http', server: 'mucp', registry: 'mdns', protocol: 'mucp', broker: 'http' }
  const [record] = nodeRecords({
    name: 'greeter',
    version: 'latest',
    metadata: {},
    endpoints,
    nodes: [{ id, address, metadata }],
    ...changes,
  })
  assert.ok(record)
  return record
}

function node(id: string, address: string) {
  return mdnsNode(greeter(id, address), 'host.example')
}

const question = { name: 'greeter.micro.', type: dnsTypes.PTR, class: 1 }

/** Deflate has many outputs for one input: texts are compared as they are unpacked, and the rest to the byte. */
function assertSame(made: Buffer, wanted: string): void {
  const texts = (message: DnsMessage): readonly string[] =>
    message.answers.flatMap((each) =>
      each.type === 'TXT' && each.texts.length > 0 ? [each.texts.join('')] : [],
    )
  const go = Buffer.from(wanted, 'hex')
  const [ours, theirs] = [texts(decodeDnsMessage(made)), texts(decodeDnsMessage(go))]
  assert.deepEqual(ours.map(unpack), theirs.map(unpack))
  const skeleton = (bytes: Buffer): string => {
    const { id, flags, questions, answers } = decodeDnsMessage(bytes)
    return JSON.stringify({
      id,
      flags,
      questions,
      answers: answers.map((each) => (each.type === 'TXT' ? each.name : each)),
    })
  }
  assert.equal(skeleton(made), skeleton(go))
  const before = (bytes: Buffer): string => bytes.toString('hex').split('ff3738')[0] ?? ''
  // All but the length of the TXT record, which ends what goes before its text.
  assert.equal(before(made).slice(0, -4), before(go).slice(0, -4))
  assert.equal(before(made).length, before(go).length)
}

function unpack(hex: string): string {
  assert.match(hex, /^789c[0-9a-f]*$/)
  return inflateSync(Buffer.from(hex, 'hex')).toString()
}

test('a question is what go-micro asks, to the byte', () => {
  const made = encodeDnsMessage({ id: 0x1234, flags: 0, questions: [question], answers: [] }, false)
  assert.equal(made.toString('hex'), goMicro.query)
})

test('the answer for a node is what go-micro answers', () => {
  const answers = serviceRecords(node('greeter-1', '127.0.0.1:4001'), 'micro', 120)
  assertSame(encodeDnsMessage({ id: 0, flags: 0x8400, questions: [question], answers }, true), goMicro.answer)
})

test('the answer for a node with an IPv6 address is what go-micro answers', () => {
  const answers = serviceRecords(node('greeter-6', '[::1]:4001'), 'micro', 120)
  assertSame(
    encodeDnsMessage({ id: 0, flags: 0x8400, questions: [question], answers }, true),
    goMicro.answer6,
  )
})

test('announcement and goodbye are those of go-micro', () => {
  for (const [ttl, wanted] of [
    [120, goMicro.announcement],
    [0, goMicro.goodbye],
  ] as const) {
    const answers = instanceRecords(node('greeter-1', '127.0.0.1:4001'), 'micro', ttl)
    assertSame(encodeDnsMessage({ id: 0, flags: 0x8000, questions: [], answers }, false), wanted)
  }
})

test('the answer to a listing is what go-micro answers, to the byte', () => {
  const asked = { ...question, name: '_services.micro.' }
  const answers = listingRecords('greeter', 'host.example', 'micro', 120)
  const made = encodeDnsMessage({ id: 0, flags: 0x8400, questions: [asked], answers }, true)
  assert.equal(made.toString('hex'), goMicro.wildcard)
  assert.deepEqual(listedServices(decodeDnsMessage(made), 'micro'), ['greeter'])
})

test('the text of a node is that of go-micro, in texts of at most 255 characters', () => {
  const { texts } = node('greeter-1', '127.0.0.1:4001')
  assert.equal(unpack(texts.join('')), goMicroText)
  assert.deepEqual(
    texts.slice(0, -1).map(({ length }) => length),
    Array(texts.length - 1).fill(255),
  )
})

test("go-micro's messages are read as the nodes that they tell of", () => {
  for (const [name, id, address, ttl] of [
    ['answer', 'greeter-1', '127.0.0.1:4001', 120],
    ['answer6', 'greeter-6', '[::1]:4001', 120],
    ['announcement', 'greeter-1', '127.0.0.1:4001', 120],
    ['goodbye', 'greeter-1', '127.0.0.1:4001', 0],
  ] as const) {
    const entries = entriesOf(decodeDnsMessage(Buffer.from(goMicro[name], 'hex')), 'micro')
    assert.deepEqual(entries, [{ ttl, record: greeter(id, address) }], name)
    assert.deepEqual(entriesOf(decodeDnsMessage(Buffer.from(goMicro[name], 'hex')), 'other'), [])
  }
})

test('metadata of the service goes along as a field of its own', () => {
  const record = greeter('greeter-1', '127.0.0.1:4001', { metadata: { team: 'blue' } })
  const answers = instanceRecords(mdnsNode(record, 'host'), 'micro', 120)
  const [entry] = entriesOf(
    decodeDnsMessage(encodeDnsMessage({ id: 0, flags: 0x8000, questions: [], answers }, true)),
    'micro',
  )
  assert.deepEqual(entry?.record, record)
})

test('an address that is no IP address and port is refused with unsupported', () => {
  for (const address of [
    'unix:/run/x.sock',
    'localhost:80',
    '127.0.0.1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '[::1%lo]:80',
  ]) {
    assert.throws(() => node('a', address), { code: 'unsupported' }, address)
  }
})

test('text that is not go-micro’s, or unpacks to too much, tells of no node', () => {
  const [server, address, text] = instanceRecords(node('greeter-1', '127.0.0.1:4001'), 'micro', 120) as [
    DnsRecord,
    DnsRecord,
    DnsRecord,
  ]
  const bomb = deflateSync(`${goMicroText}${' '.repeat(10_000_000)}`).toString('hex')
  for (const texts of [
    ['zz'],
    ['789'],
    ['78 9c'],
    bomb.match(/.{1,255}/g) ?? [],
    ['789c030000000001'],
    [Buffer.from('{}').toString('hex')],
  ]) {
    const answers = [server, address, { ...text, texts } as DnsRecord]
    assert.deepEqual(entriesOf({ id: 0, flags: 0, questions: [], answers }, 'micro'), [])
  }
})

test('names go to the wire and back, whatever is in them', () => {
  for (const name of [
    'a.',
    'go.micro.srv.greeter.micro.',
    'with space.micro.',
    'dot\\.in.label.',
    'back\\\\slash.',
    'größe.',
    '.',
  ]) {
    const message: DnsMessage = { id: 1, flags: 0, questions: [{ name, type: 1, class: 1 }], answers: [] }
    assert.deepEqual(decodeDnsMessage(encodeDnsMessage(message, true)), message)
  }
  for (const name of [`${'x'.repeat(64)}.`, 'a..b.', `${'abcdefg.'.repeat(32)}`, '.a.']) {
    const message: DnsMessage = { id: 1, flags: 0, questions: [{ name, type: 1, class: 1 }], answers: [] }
    assert.throws(() => encodeDnsMessage(message, true), { code: 'bad-request' }, name)
  }
})

test('addresses go to the wire and back', () => {
  for (const address of [
    '0.0.0.0',
    '255.1.2.3',
    '::',
    '::1',
    'fe80::1:2',
    '2001:db8::',
    '1:2:3:4:5:6:7:8',
    'ff02::fb',
  ]) {
    const type = address.includes(':') ? 'AAAA' : 'A'
    const answers: DnsRecord[] = [{ type, name: 'x.', ttl: 1, address }]
    const message = { id: 0, flags: 0, questions: [], answers }
    assert.deepEqual(decodeDnsMessage(encodeDnsMessage(message, true)).answers, answers)
  }
})

test('names that point at themselves, forwards, or in a circle are refused with protocol', () => {
  const head = '000084000001000000000000'
  for (const name of [
    'c00c',
    'c00e',
    'c0ff',
    '01610161c00c',
    '0161c00c',
    'c00dc00c',
    '40',
    '0a6162',
    'c0',
    '',
  ]) {
    assert.throws(
      () => decodeDnsMessage(Buffer.from(`${head}${name}00010001`, 'hex')),
      { code: 'protocol' },
      name,
    )
  }
  const long = `3f${'61'.repeat(63)}`.repeat(4)
  assert.throws(() => decodeDnsMessage(Buffer.from(`${head}${long}0000010001`, 'hex')), { code: 'protocol' })
})

test('a name is read through a few pointers, and refused with protocol through many', () => {
  const message = (pointers: number): Buffer => {
    // A record of an unknown type holds the root name and a chain that leads back to it; a question's name would stand before.
    const chain = Buffer.alloc(1 + pointers * 2)
    for (let i = 0; i < pointers; i++) chain.writeUInt16BE(0xc000 | (i === 0 ? 23 : 22 + i * 2), 1 + i * 2)
    const last = Buffer.of(0xc0 | ((22 + pointers * 2) >> 8), (22 + pointers * 2) & 0xff)
    const fixed = (type: number, length: number): Buffer =>
      Buffer.of(0, type, 0, 1, 0, 0, 0, 9, length >> 8, length & 0xff)
    return Buffer.concat([
      Buffer.from('000084000000000200000000', 'hex'),
      Buffer.of(0),
      fixed(99, chain.length),
      chain,
      last,
      fixed(1, 4),
      Buffer.of(127, 0, 0, 1),
    ])
  }
  assert.deepEqual(decodeDnsMessage(message(10)).answers, [
    { type: 'A', name: '.', ttl: 9, address: '127.0.0.1' },
  ])
  assert.throws(() => decodeDnsMessage(message(1000)), { code: 'protocol' })
})

test('two hundred thousand damaged messages end in protocol or in nothing, at once', (t) => {
  const seeds = Object.values(goMicro).map((hex) => Buffer.from(hex, 'hex'))
  let state = 1
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  let [refused, longest] = [0, 0]
  for (let i = 0; i < 200_000; i++) {
    let bytes = Buffer.from(seeds[random(seeds.length)] as Buffer)
    if (i % 5 === 0) bytes = Buffer.from(Array.from({ length: random(80) }, () => random(256)))
    else if (i % 3 === 0) bytes = bytes.subarray(0, random(bytes.length))
    for (let changes = random(6); changes > 0 && bytes.length > 0; changes--) {
      bytes[random(bytes.length)] = random(3) === 0 ? 0xc0 | random(2) : random(256)
    }
    const started = performance.now()
    try {
      const message = decodeDnsMessage(bytes)
      entriesOf(message, 'micro')
      listedServices(message, 'micro')
    } catch (error) {
      const { code } = error as { readonly code?: string }
      if (code !== 'protocol') assert.fail(`${bytes.toString('hex')}: ${(error as Error).stack}`)
      refused++
    }
    longest = Math.max(longest, performance.now() - started)
  }
  t.diagnostic(`${refused} refused, longest ${longest.toFixed(1)} ms`)
  assert.ok(refused > 1000 && refused < 199_000)
  assert.ok(longest < 1000)
})
