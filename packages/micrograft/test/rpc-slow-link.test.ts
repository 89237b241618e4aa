import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { componentContext, until } from '@micrograft/testing'
import type { Dispatcher, Node } from '@micrograft/contracts'
import { FrameType } from '../dist/rpc/frame.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import * as write from './support/frames.js'
import { framed, RawPeer } from './support/raw-peer.js'
import { RpcSubject } from './support/rpc-subject.js'

const mb = 1_000_000
const echo: Dispatcher = {
  kind: () => 'unary',
  unary: async ({ contentType }, body) => ({
    metadata: {},
    contentType,
    body: Buffer.from(String(body.length)),
  }),
  stream: () => Promise.reject(new Error('there are none')),
}
/** Looks at its connections every 25 ms. */
const server = { helloTimeoutMs: 100, maxFrameBytes: 20 * mb }

/** A link that takes `bytesPerMs` from the client. */
async function slowLink(address: string, bytesPerMs: number): Promise<{ address: string } & AsyncDisposable> {
  const sockets: Socket[] = []
  const link = createServer((near) => {
    const far = connect(Number(address.split(':')[1]), '127.0.0.1')
    sockets.push(near, far)
    far.pipe(near)
    near.on('data', (chunk: Buffer) => {
      far.write(chunk)
      near.pause()
      setTimeout(() => near.resume(), chunk.length / bytesPerMs)
    })
    for (const each of [near, far]) each.on('error', () => undefined)
    near.on('close', () => far.destroy())
  })
  await new Promise<void>((resolve) => link.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(link.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const each of sockets) each.destroy()
      await new Promise((resolve) => link.close(resolve))
    },
  }
}

test('a request that takes longer to send than a server may be silent arrives', async () => {
  const transport = tcpTransport({ maxMessageBytes: 20 * mb }, componentContext())
  await using subject = new RpcSubject(transport, '', '127.0.0.1:1', {
    server,
    client: { maxFrameBytes: 20 * mb, pingIntervalMs: 400, pingTimeoutMs: 400 },
  })
  const { node } = await subject.start(echo)
  await using link = await slowLink(node.address, 4000)
  const behind: Node = { ...node, address: link.address }
  const request = { service: 'echo', endpoint: 'Say.Hello', contentType: 'application/json', metadata: {} }
  const started = performance.now()
  const body = Buffer.alloc(12 * mb)
  const reply = await subject.client.call(behind, { ...request, timeoutMs: 60_000, body })
  assert.equal(Buffer.from(reply.body).toString(), String(body.length))
  assert.ok(performance.now() - started > 1000, 'it was sent slowly')
})

test('a client is pinged while a frame comes, and neither before nor after', async () => {
  await using subject = new RpcSubject(tcpTransport(undefined, componentContext()), '', '127.0.0.1:1', {
    server,
  })
  const served = await subject.start(echo)
  using peer = await RawPeer.dial(served.node.address)
  const target = { service: 'echo', endpoint: 'Say.Hello', contentType: 'application/json' }
  const call = (slot: number) =>
    write.callFrame(FrameType.call, slot, 0, { target, reference: 0 }, {}, Buffer.alloc(1000))
  const pings = () => peer.ofType(FrameType.ping).length
  peer.send(
    write.helloFrame({
      lowest: 1,
      highest: 1,
      maxFrameBytes: mb,
      maxCalls: 0,
      maxTargets: 0,
      windowBytes: 100_000,
      windowMessages: 10,
    }),
    call(0),
  )
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
  const frame = framed(call(1))
  let sent = 0
  await until('it is pinged', async () => {
    peer.socket.write(frame.subarray(sent, ++sent))
    return pings() >= 3
  })
  peer.socket.write(frame.subarray(sent))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 2)
  const before = pings()
  // What it answers to these says nothing of a go-away that crossed them.
  peer.send(write.pingFrame(FrameType.pong, 1))
  const stopped = served.server.stop({ graceMs: 20_000 })
  await until('it is told', () => peer.ofType(FrameType.goAway).length === 1)
  peer.send(write.pingFrame(FrameType.pong, 1), call(2))
  await until('a call that crossed it is answered', () => peer.ofType(FrameType.reply).length === 3)
  assert.equal(pings(), before + 1)
  peer.send(write.pingFrame(FrameType.pong, 0))
  await stopped
})
