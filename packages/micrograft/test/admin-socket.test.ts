import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { AdminClient, adminNodes, createService } from 'micrograft'
import { privateFolder } from './support/folder.js'
import { soon } from './support/gate.js'

async function served(t: TestContext): Promise<string> {
  const admin = `${await privateFolder(t)}/a.sock`
  const service = createService({ name: 'asked', registry: 'memory', logger: 'noop', admin })
  t.after(() => service.stop())
  await service.start()
  return admin
}

/** A socket that answers each connection by `answer`. */
async function answering(
  t: TestContext,
  answer: (socket: Socket) => void,
  path: string = '',
): Promise<string> {
  path ||= `${await privateFolder(t)}/b.sock`
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    answer(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return path
}

test('a request that is none is answered with a code and what there is', async (t) => {
  using client = await AdminClient.connect(await served(t))
  const requests: [object, string, RegExp][] = [
    [{ do: 'sing' }, 'bad-request', /about, slots, swap, share, rollback/],
    [{ do: 'swap', type: 'stoer', target: 'memory' }, 'invalid-option', /stoer.*store/],
    [{ do: 'swap', type: '__proto__', target: 'memory' }, 'invalid-option', /__proto__/],
    [{ do: 'swap', type: 'store' }, 'invalid-option', /target/],
    [{ do: 'swap', type: 'store', target: 'memory', options: null }, 'invalid-option', /options/],
    [{ do: 'swap', type: 'store', target: 'memory', options: { options: [] } }, 'invalid-option', /options/],
    [{ do: 'swap', type: 'store', target: 'memory', options: { watchMs: '5' } }, 'invalid-option', /watchMs/],
    [{ do: 'share', type: 'nothing', share: 1 }, 'invalid-option', /nothing/],
    [{ do: 'share', type: 'store' }, 'invalid-option', /share/],
    [{ do: 'rollback' }, 'invalid-option', /type/],
    [{ do: 'rollback', type: 'store', by: 5 }, 'invalid-option', /by/],
  ]
  for (const [request, code, message] of requests)
    await assert.rejects(client.ask(request as never), { code, message }, JSON.stringify(request))
  await client.ask({ do: 'about' })
})

test('a question that comes when the service has gone is refused', async (t) => {
  const path = await answering(t, (socket) => setImmediate(() => socket.destroy()))
  const client = await AdminClient.connect(path)
  await assert.rejects(soon('it is refused', client.ask({ do: 'about' })), { code: 'unavailable' })
  await assert.rejects(soon('so is a later one', client.ask({ do: 'about' })), { code: 'unavailable' })
})

test('an answer that is none ends the connection, and not the process', async (t) => {
  for (const line of ['no json\n', '5\n', 'null\n']) {
    const path = await answering(t, (socket) => socket.once('data', () => socket.write(line)))
    const client = await AdminClient.connect(path)
    await assert.rejects(soon('it is refused', client.ask({ do: 'about' })), { code: 'unavailable' }, line)
  }
})

test('a node that does not answer does not keep the others from being found', async (t) => {
  const runtime = await privateFolder(t)
  const { XDG_RUNTIME_DIR: before } = process.env
  process.env['XDG_RUNTIME_DIR'] = runtime
  t.after(() => {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR']
    else process.env['XDG_RUNTIME_DIR'] = before
  })
  const folder = `${runtime}/micrograft/admin`
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await answering(t, () => undefined, `${folder}/stuck.12345678.sock`)
  const admin = createService({
    name: 'other',
    registry: 'memory',
    logger: 'noop',
    admin: `${folder}/other.1.sock`,
  })
  t.after(() => admin.stop())
  await admin.start()
  const nodes = await soon('they are found', adminNodes(), 6000)
  assert.deepEqual(
    nodes.map(({ service }) => service).filter((name) => name === 'other'),
    ['other'],
  )
})
