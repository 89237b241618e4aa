import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ServiceError, type Message } from '@micrograft/contracts'
import { FrameType } from '../dist/rpc/frame.js'
import { FrameReader } from '../dist/rpc/frame-reader.js'
import * as write from './support/frames.js'
import { ReceivedTargets } from '../dist/rpc/target-table.js'
import { headerBytes, MessageReader, prefixBytes, writeHead } from '../dist/transport/message-frame.js'

const document = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8')
/** `name: bytes in hex`, from the document's blocks marked `vectors`. */
const vectors = new Map(
  [...document.matchAll(/```vectors\n([\s\S]*?)```/g)]
    .flatMap(([, block = '']) => block.trim().split('\n'))
    .map((line) => {
      const [name = '', hex = ''] = line.split(':')
      return [name.trim(), Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')]
    }),
)

const target = { service: 'greeter', endpoint: 'Say.Hello', contentType: 'application/json' }
const metadata = { 'x-tenant': 'zürich' }
const body = Buffer.from('{"name":"John"}')
const error = new ServiceError('bad-request', 'bad name', { id: 'greeter' })

type Read = (reader: FrameReader) => unknown

const readCall: Read = (reader) => ({
  slot: reader.varint(),
  timeoutMs: reader.varint(),
  target: targets.read(reader),
  metadata: reader.metadata(),
  body: reader.rest(),
})
const readReply: Read = (reader) => ({
  slot: reader.varint(),
  contentType: reader.contentType(),
  metadata: reader.metadata(),
  body: reader.rest(),
})
/** One connection's, in the order of the document. */
const targets = new ReceivedTargets(10)
const hello = {
  lowest: 1,
  highest: 1,
  maxFrameBytes: 4_194_304,
  maxCalls: 10_000,
  maxTargets: 256,
  windowBytes: 262_144,
  windowMessages: 256,
}

const frames: Readonly<Record<string, { type: number; bytes: Buffer; read: Read; value: unknown }>> = {
  'hello of a server': {
    type: FrameType.hello,
    bytes: write.helloFrame(hello),
    read: (reader) => reader.hello(),
    value: hello,
  },
  'hello of a client': {
    type: FrameType.hello,
    bytes: write.helloFrame({ ...hello, maxCalls: 0, maxTargets: 0 }),
    read: (reader) => reader.hello(),
    value: { ...hello, maxCalls: 0, maxTargets: 0 },
  },
  'go-away': {
    type: FrameType.goAway,
    bytes: write.goAwayFrame('unavailable', 'the server stops'),
    read: (reader) => reader.reason().message,
    value: 'the server stops',
  },
  ping: {
    type: FrameType.ping,
    bytes: write.pingFrame(FrameType.ping, 300),
    read: (reader) => reader.varint(),
    value: 300,
  },
  pong: {
    type: FrameType.pong,
    bytes: write.pingFrame(FrameType.pong, 300),
    read: (reader) => reader.varint(),
    value: 300,
  },
  'call, target remembered': {
    type: FrameType.call,
    bytes: write.callFrame(FrameType.call, 0, 5000, { target, reference: 1 }, {}, body),
    read: readCall,
    value: { slot: 0, timeoutMs: 5000, target, metadata: {}, body },
  },
  'call, target by number': {
    type: FrameType.call,
    bytes: write.callFrame(FrameType.call, 200, 0, { target, reference: 2 }, metadata, body),
    read: readCall,
    value: { slot: 200, timeoutMs: 0, target, metadata, body },
  },
  'call, target not remembered': {
    type: FrameType.call,
    bytes: write.callFrame(FrameType.call, 1, 250, { target, reference: 0 }, {}, Buffer.alloc(0)),
    read: readCall,
    value: { slot: 1, timeoutMs: 250, target, metadata: {}, body: Buffer.alloc(0) },
  },
  reply: {
    type: FrameType.reply,
    bytes: write.replyFrame(0, '', {}, body),
    read: readReply,
    value: { slot: 0, contentType: '', metadata: {}, body },
  },
  'reply, content type of its own': {
    type: FrameType.reply,
    bytes: write.replyFrame(200, 'text/plain', metadata, Buffer.from('hi')),
    read: readReply,
    value: { slot: 200, contentType: 'text/plain', metadata, body: Buffer.from('hi') },
  },
  error: {
    type: FrameType.error,
    bytes: write.errorFrame(0, error),
    read: (reader) => ({ slot: reader.varint(), error: reader.error().toWire() }),
    value: { slot: 0, error: error.toWire() },
  },
  cancel: {
    type: FrameType.cancel,
    bytes: write.cancelFrame(0, 'canceled', 'given up'),
    read: (reader) => ({ slot: reader.varint(), code: reader.reason().code }),
    value: { slot: 0, code: 'canceled' },
  },
  open: {
    type: FrameType.open,
    bytes: write.openFrame(3, 0, { target, reference: 2 }, {}),
    read: readCall,
    value: { slot: 3, timeoutMs: 0, target, metadata: {}, body: Buffer.alloc(0) },
  },
  data: {
    type: FrameType.data,
    bytes: write.dataFrame(3, Buffer.from('abc')),
    read: (reader) => ({ slot: reader.varint(), body: reader.rest() }),
    value: { slot: 3, body: Buffer.from('abc') },
  },
  window: {
    type: FrameType.window,
    bytes: write.windowFrame(3, 131_072, 128),
    read: (reader) => ({ slot: reader.varint(), bytes: reader.varint(), messages: reader.varint() }),
    value: { slot: 3, bytes: 131_072, messages: 128 },
  },
  'end of a client': {
    type: FrameType.end,
    bytes: write.endFrame(3),
    read: (reader) => ({ slot: reader.varint(), metadata: reader.metadata() }),
    value: { slot: 3, metadata: {} },
  },
  'end of a server': {
    type: FrameType.end,
    bytes: write.endFrame(3, metadata),
    read: (reader) => ({ slot: reader.varint(), metadata: reader.metadata() }),
    value: { slot: 3, metadata },
  },
}

const messages: Readonly<Record<string, Message>> = {
  'message, no header': { header: {}, body: Buffer.from('hi') },
  'message, header': { header: { 'content-type': 'text/plain', 'x-id': '7' }, body: Buffer.from('hi') },
  'message, nothing': { header: {}, body: Buffer.alloc(0) },
}

test('the document has every vector, and no other', () => {
  assert.deepEqual([...vectors.keys()].sort(), [...Object.keys(frames), ...Object.keys(messages)].sort())
})

for (const [name, { type, bytes, read, value }] of Object.entries(frames)) {
  test(`${name}: is written and read as the document says`, () => {
    assert.equal(bytes.toString('hex'), vectors.get(name)?.toString('hex'))
    const reader = new FrameReader()
    reader.reset(bytes)
    assert.equal(reader.byte(), type)
    assert.deepEqual(read(reader), value)
  })
}

for (const [name, message] of Object.entries(messages)) {
  test(`${name}: is written and read as the document says`, () => {
    const size = headerBytes(message.header)
    const bytes = Buffer.alloc(prefixBytes + size + message.body.length)
    bytes.set(message.body, writeHead(bytes, 0, message, size))
    assert.equal(bytes.toString('hex'), vectors.get(name)?.toString('hex'))
    const got: Message[] = []
    new MessageReader(100, (each) => got.push(each)).push(bytes)
    assert.deepEqual(got, [message])
  })
}

test('the document names the type of every frame', () => {
  for (const [name, type] of Object.entries(FrameType)) {
    const title = name === 'goAway' ? 'go-away' : name
    assert.match(
      document,
      new RegExp(`\\| \`${type.toString(16).padStart(2, '0')}\` \\| ${title} \\|`),
      title,
    )
  }
})
