import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ServiceError, type Message } from '@micrograft/contracts'
import type { Framer } from '../dist/transport/framing.js'
import { httpFraming } from '../dist/transport/http-framing.js'
import { mutate, seeded, shareOf, told } from './support/random.js'

// Most inputs end in an error: its stack would take most of the time.
Error.stackTraceLimit = 0
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const limits = { maxMessageBytes: 300, maxHeaderBytes: 600 }
const framing = httpFraming(limits, 1000)
const body = '{"name":"John"}'
const common = 'Micro-Service: greeter\r\nMicro-Endpoint: Say.Hello\r\nX-Text: grüße\r\n'
const heads = {
  request: [
    'POST / HTTP/1.1\r\nHost: x\r\n',
    'POST /x HTTP/1.0\r\n',
    'GET / HTTP/1.1\r\n',
    '\r\nPOST / HTTP/1.1\r\n',
  ],
  response: [
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.0 200\r\n',
    'HTTP/1.1 404 Not Found\r\n',
    'HTTP/1.1 100 Continue\r\n',
  ],
}
const bodies = [
  `Content-Length: ${body.length}\r\n\r\n${body}`,
  'Content-Length: 0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  `Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n${body.slice(0, 5)}\r\na\r\n${body.slice(5)}\r\n0\r\nX: y\r\n\r\n`,
  `Expect: 100-continue\r\nContent-Length: 200\r\n\r\n${'x'.repeat(200)}`,
  `Connection: keep-alive\r\n\r\n`,
  `\r\n`,
]
const fields = [
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Content-Length: 3\r\n',
  'Content-Length: 99999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Expect: 100-continue\r\n',
  '__proto__: x\r\n',
  ': x\r\n',
  ' folded\r\n',
  'X: \u0000\r\n',
  `Long: ${'y'.repeat(200)}\r\n`,
  '\r\n',
].map((each) => Buffer.from(each))

function seeds(kind: 'request' | 'response'): Buffer[] {
  return heads[kind].flatMap((head) => bodies.map((rest) => Buffer.from(head + common + rest)))
}

/** As `mutate`, and lines that mean something put in where a line begins. */
function mutateHttp(bytes: Buffer, random: (below: number) => number, others: readonly Buffer[]): Buffer {
  if (random(3) > 0) return mutate(bytes, random, others)
  const at = bytes.indexOf('\r\n', random(bytes.length))
  if (at === -1) return bytes
  const line = fields[random(fields.length)] as Buffer
  return Buffer.concat([bytes.subarray(0, at + 2), line, bytes.subarray(at + 2)])
}

/** One end of a connection, with all that it did written down. */
class End {
  readonly said: string[] = []
  readonly framer: Framer
  over = false

  constructor(kind: 'request' | 'response') {
    this.framer = framing.open({
      dialled: kind === 'request' ? undefined : 'fuzz:1',
      answer: (text) => void this.said.push(`answer ${text}`),
      finish: () => {
        this.said.push('finish')
        this.over = true
      },
    })
    this.framer.attach({ message: (message) => this.#message(message), closed: () => undefined })
  }

  /** Reads `stream` in pieces of the sizes that `size` gives, and its end. */
  read(stream: Buffer, size: () => number): void {
    try {
      for (let at = 0; at < stream.length && !this.over;) {
        const end = at + size()
        this.framer.push(stream.subarray(at, end))
        at = end
      }
      if (!this.over) this.framer.end()
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.code === 'protocol', String(error))
      this.said.push(`refused ${error.message} ${this.framer.farewell(error) ?? ''}`)
    }
    this.framer.stop()
    assert.equal(this.framer.unfinished, false)
  }

  /** Writes what came back, as an echo does. */
  #message({ header, body }: Message): void {
    let bytes = body.length
    for (const [name, value] of Object.entries(header)) {
      assert.match(name, /^(:status|[^A-Z:\s]+)$/)
      assert.doesNotMatch(value, /[\0\r\n]/)
      bytes += name === ':status' ? 0 : name.length + value.length
    }
    assert.ok(bytes <= limits.maxMessageBytes, `${bytes} bytes were handed over`)
    this.said.push(JSON.stringify([header, Buffer.from(body).toString('latin1')]))
    const { ':status': _, ...rest } = header
    const message = { header: rest, body }
    const head = this.framer.head(message, body.length)
    const target = Buffer.alloc(head)
    assert.equal(this.framer.write(target, 0, message, head, body.length), head)
    if (this.framer.last) this.over = true
  }
}

/** The heap after collection, in MB. */
async function heap(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  gc()
  return process.memoryUsage().heapUsed / 1e6
}

/** Runs `inputs` of `step` and holds that the heap does not grow after the first tenth. */
async function run(inputs: number, step: () => void): Promise<void> {
  let early = 0
  for (let i = 0; i < inputs; i++) {
    step()
    if (i === Math.floor(inputs / 10)) early = await heap()
  }
  const late = await heap()
  assert.ok(late < early + 8, `the heap grew from ${early.toFixed(1)} to ${late.toFixed(1)} MB`)
}

for (const [kind, all, seed] of [
  ['request', 600_000, 0x5eed_0011],
  ['response', 400_000, 0x5eed_0012],
] as const) {
  const inputs = shareOf(all)
  test(`${told(inputs)} mutated ${kind}s, in pieces of any size, make no crash, hang or growth, and mean the same in one piece`, async () => {
    const random = seeded(seed)
    const known = seeds(kind)
    let taken = 0
    let refused = 0
    await run(inputs, () => {
      const parts = Array.from({ length: 1 + random(3) }, () => known[random(known.length)] as Buffer)
      const stream = mutateHttp(Buffer.concat(parts), random, known)
      const end = new End(kind)
      const most = random(4) === 0 ? 8 : 200
      end.read(stream, () => 1 + random(most))
      const last = end.said.at(-1) ?? ''
      if (last.startsWith('refused')) refused++
      else taken++
      // Where they are read together is no part of what they mean.
      if (random(4) > 0) return
      const whole = new End(kind)
      whole.read(stream, () => stream.length)
      assert.deepEqual(outcome(whole.said), outcome(end.said), JSON.stringify(stream.toString('latin1')))
    })
    assert.ok(taken > inputs / 20 && refused > inputs / 20, `${taken} taken, ${refused} refused`)
  })
}

/** What was handed over, and whether it was refused: which of two faults is met first may depend on the pieces. */
function outcome(said: readonly string[]): string[] {
  return said.map((each) => (each.startsWith('refused') ? 'refused' : each))
}
