import type { Codec } from '@micrograft/contracts'
import { codecCases, type CodecSubject } from '@micrograft/testing'
import { complyEveryWay } from './support/comply-every-way.js'

const subject =
  (rest: Omit<CodecSubject, 'codec'>) =>
  (codec: Codec): CodecSubject => ({ codec, ...rest })

complyEveryWay('json-rpc codec', codecCases, {
  type: 'codec',
  name: 'json-rpc',
  file: 'codec/json-rpc-codec',
  factory: 'jsonRpcCodec',
  subject: subject({
    values: [{ a: [1, 'ü💡'] }, [], null],
    notWritable: [1n],
    notReadable: [Buffer.from('{'), Buffer.from('')],
  }),
})

complyEveryWay('proto-rpc codec', codecCases, {
  type: 'codec',
  name: 'proto-rpc',
  file: 'codec/proto-rpc-codec',
  factory: 'protoRpcCodec',
  subject: subject({
    values: [new Uint8Array(), new Uint8Array([0x0a, 1, 0x41])],
    notWritable: ['text', null, {}],
    notReadable: [],
  }),
})
