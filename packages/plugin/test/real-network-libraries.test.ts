import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { life } from './support/life.js'
import { freePort, postgres } from './support/postgres.js'
import { workshop } from './support/workshop.js'

const pgSource = `import pg from 'pg'

const pools: pg.Pool[] = []
const ends: Promise<void>[] = []

export function connect(options: pg.PoolConfig): void {
  const pool = new pg.Pool({ ...options, max: 3 })
  pool.on('connect', (client) => ends.push(new Promise((resolve) => client.once('end', () => resolve()))))
  pools.push(pool)
}
export async function query(text: string, values: unknown[] = []): Promise<unknown[]> {
  const { rows } = await pools[0]!.query(text, values)
  return structuredClone(rows)
}
export async function failure(text: string): Promise<string | undefined> {
  try {
    await pools[0]!.query(text)
    return undefined
  } catch (error) {
    return (error as { code?: string }).code
  }
}
export async function transfer(): Promise<void> {
  const client = await pools[0]!.connect()
  try {
    await client.query('begin')
    await client.query('insert into t values (2)')
    await client.query('rollback')
  } finally {
    client.release()
  }
}
export const quote = (name: string): string => pg.escapeIdentifier(name)
export const literal = (text: string): string => pg.escapeLiteral(text)
export const parse = (oid: number, text: string): unknown => structuredClone(pg.types.getTypeParser(oid)(text))
export async function dispose(): Promise<void> {
  await Promise.all(pools.map((pool) => pool.end()))
  // The pool waits for its queries; the sockets are closed a little later.
  await Promise.all(ends)
}
`

interface Pg {
  connect(options: object): void
  query(text: string, values?: unknown[]): Promise<unknown[]>
  failure(text: string): Promise<string | undefined>
  transfer(): Promise<void>
  quote(name: string): string
  literal(text: string): string
  parse(oid: number, text: string): unknown
}

test('pg queries a PostgreSQL server from a plugin, whose dispose ends its connections', async (t) => {
  const server = await postgres(t)
  if (!server) return
  const shop = await workshop(t)
  const built = await shop.plugin('database', pgSource)
  const leftovers = await life<Pg>(shop, built, async (plugin) => {
    const query = plugin.lookup('query')
    plugin.lookup('connect')({ host: '127.0.0.1', database: 'postgres', ...server })
    assert.deepEqual(
      await query('select $1::int8 as big, $2::jsonb as doc, $3::text[] as list, $4::timestamptz as at', [
        2n ** 60n,
        { a: [1] },
        ['x', 'ü'],
        new Date(0),
      ]),
      [{ big: '1152921504606846976', doc: { a: [1] }, list: ['x', 'ü'], at: new Date(0) }],
    )
    await query('create table t (n int)')
    await Promise.all([1, 2, 3, 4, 5].map((n) => query('insert into t values ($1)', [n])))
    await plugin.lookup('transfer')()
    assert.deepEqual(await query('select count(*)::int as count from t'), [{ count: 5 }])
    assert.equal(await plugin.lookup('failure')('select * from missing'), '42P01')
  })
  assert.deepEqual(leftovers, [])
})

test('pg parses types, quotes names and says why it cannot connect, in a plugin', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin('database', pgSource)
  const leftovers = await life<Pg>(shop, built, async (plugin) => {
    assert.equal(plugin.lookup('quote')('a"b'), '"a""b"')
    assert.equal(plugin.lookup('literal')(`it's \\`), ` E'it''s \\\\'`)
    assert.equal(plugin.lookup('parse')(16, 't'), true)
    assert.deepEqual(plugin.lookup('parse')(1007, '{1,NULL,3}'), [1, null, 3])
    assert.deepEqual(plugin.lookup('parse')(1184, '1970-01-01 00:00:00+00'), new Date(0))
    plugin.lookup('connect')({ host: '127.0.0.1', port: await freePort(), user: 'nobody' })
    assert.equal(await plugin.lookup('failure')('select 1'), 'ECONNREFUSED')
  })
  assert.deepEqual(leftovers, [])
})

test('ws serves and connects in a plugin, whose dispose closes the server', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin(
    'echo',
    `import { once } from 'node:events'
    import type { AddressInfo } from 'node:net'
    import { WebSocket, WebSocketServer } from 'ws'

    let server: WebSocketServer | undefined

    export async function listen(): Promise<number> {
      server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true })
      server.on('connection', (socket) => {
        socket.on('message', (data: Buffer, binary: boolean) =>
          socket.send(binary ? Buffer.from(data).reverse() : data.toString().toUpperCase()))
      })
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    }
    export async function talk(port: number): Promise<unknown[]> {
      const socket = new WebSocket('ws://127.0.0.1:' + port)
      const heard: unknown[] = []
      const next = async () => String((await once(socket, 'message'))[0])
      await once(socket, 'open')
      socket.send('héllo')
      heard.push(await next())
      socket.send(Buffer.from('abc'))
      heard.push(await next())
      socket.send('x'.repeat(100_000))
      heard.push((await next()).length)
      socket.ping()
      heard.push((await once(socket, 'pong')).length)
      socket.close(4001, 'done')
      heard.push((await once(socket, 'close'))[0])
      return heard
    }
    export async function dispose(): Promise<void> {
      for (const client of server?.clients ?? []) client.terminate()
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
    }
    `,
  )
  interface Echo {
    listen(): Promise<number>
    talk(port: number): Promise<unknown[]>
  }
  const leftovers = await life<Echo>(shop, built, async (plugin) => {
    const port = await plugin.lookup('listen')()
    assert.deepEqual(await plugin.lookup('talk')(port), ['HÉLLO', 'cba', 100_000, 1, 4001])
  })
  assert.deepEqual(leftovers, [])
})

/** An HTTP server that answers with what it was sent; it goes with the test. */
async function echoServer(t: TestContext): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const answer = { method: request.method, path: request.url, body: Buffer.concat(chunks).toString() }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test("undici fetches in a plugin and leaves the host's global dispatcher alone", async (t) => {
  const shop = await workshop(t)
  const origin = await echoServer(t)
  const built = await shop.plugin(
    'web',
    `import { Agent, FormData, fetch, getGlobalDispatcher, request, setGlobalDispatcher } from 'undici'

    setGlobalDispatcher(new Agent({ connections: 2 }))

    export async function get(url: string): Promise<unknown> {
      const response = await fetch(url, { headers: { accept: 'application/json' } })
      return structuredClone(await response.json())
    }
    export async function post(url: string, text: string): Promise<unknown> {
      const { body, statusCode } = await request(url, { method: 'POST', body: text })
      return structuredClone([statusCode, await body.json()])
    }
    export async function cancel(url: string): Promise<string> {
      return fetch(url, { signal: AbortSignal.abort() }).then(() => 'answered', (error: Error) => error.name)
    }
    export const form = (): string[] => { const f = new FormData(); f.set('a', 'b'); return [...f.keys()] }
    export const dispose = (): Promise<void> => getGlobalDispatcher().close()
    `,
  )
  const dispatcher = Symbol.for('undici.globalDispatcher.1')
  const hosts = () => (globalThis as Record<symbol, unknown>)[dispatcher]
  // Node makes its own at the first fetch.
  await (await fetch(origin)).text()
  const before = hosts()
  assert.ok(before)
  interface Web {
    get(url: string): Promise<unknown>
    post(url: string, text: string): Promise<unknown>
    cancel(url: string): Promise<string>
    form(): string[]
  }
  const leftovers = await life<Web>(shop, built, async (plugin) => {
    const all = await Promise.all(['/a', '/b', '/c'].map((path) => plugin.lookup('get')(origin + path)))
    assert.deepEqual(
      all,
      ['/a', '/b', '/c'].map((path) => ({ method: 'GET', path, body: '' })),
    )
    assert.deepEqual(await plugin.lookup('post')(`${origin}/p`, 'höi'), [
      200,
      { method: 'POST', path: '/p', body: 'höi' },
    ])
    assert.equal(await plugin.lookup('cancel')(origin), 'AbortError')
    assert.deepEqual(plugin.lookup('form')(), ['a'])
    assert.equal(hosts(), before)
  })
  assert.equal(hosts(), before)
  // The library's own clock ticks on for half a second after the last request.
  assert.deepEqual(
    leftovers.filter(({ what }) => what !== 'after 499 ms, calling onTick'),
    [],
  )
})
