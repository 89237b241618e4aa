import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServiceError, type PluginConfig, type Store } from '@micrograft/contracts'
import { componentContext, pause, until } from '@micrograft/testing'
import { FaultyLink } from './faulty-link.js'
import { missing, ServerProcess, type ServerKind } from './server-process.js'

/** A store whose server these tests may do anything to. */
export interface StoreFaults {
  readonly kind: ServerKind
  readonly plugin: PluginConfig<'store'>
  /** Of a store on this port that gives a call no more than `timeoutMs`. */
  options(port: number, timeoutMs: number): object
  /** Makes another password count on the server. */
  setPassword(port: number, password: string, before: string): Promise<void>
  /** The password that `options` gives. */
  readonly password: string
}

/** Codes of errors that a caller may meet while a server is away. */
const away: ReadonlySet<string> = new Set(['unavailable', 'timeout', 'overloaded'])
/** What a call may take longer than its deadline on a busy machine, in milliseconds. */
const slackMs = 1500

/** Runs what every store on a server must live through. */
export function storeFaults(
  label: string,
  { kind, plugin, options, setPassword, password }: StoreFaults,
): void {
  const reason = missing(kind)
  if (reason !== undefined) return void test(label, { skip: reason })
  let server: ServerProcess
  before(async () => (server = await ServerProcess.start(kind)))
  after(() => server[Symbol.asyncDispose]())

  const make = plugin.newFunc as unknown as (
    options: object,
    context: ReturnType<typeof componentContext>,
  ) => Promise<Store>
  const open = (timeoutMs: number, port = server.port) => make(options(port, timeoutMs), componentContext())

  test(`${label} has after a SIGKILL of the server what it acknowledged, and goes on by itself`, async () => {
    await using store = await open(1000)
    await using load = new Load(store, 1000)
    await until('some are written', () => load.acknowledged.size > 50)
    await server.kill()
    await until('calls fail', () => load.failed > 10)
    await server.start()
    const written = load.acknowledged.size
    await until('it goes on', () => load.acknowledged.size > written + 50, 20_000)
    await load.stop()
    for (const [key, value] of load.acknowledged) assert.equal(text(await store.get(key)), value, key)
  })

  test(`${label} costs a caller its deadline at most while the server stands still, and goes on afterwards`, async () => {
    await using store = await open(500)
    await store.set('before', bytes('1'))
    await using load = new Load(store, 500)
    await until('some are written', () => load.acknowledged.size > 20)
    server.pause()
    try {
      await Promise.all(Array.from({ length: 50 }, () => inTime(500, store.get('before'))))
      const failed = load.failed
      await until('load fails too', () => load.failed > failed + 10)
      const controller = new AbortController()
      const given = store.get('before', { signal: controller.signal })
      controller.abort(new Error('enough'))
      await assert.rejects(given, /enough/)
    } finally {
      server.resume()
    }
    const written = load.acknowledged.size
    await until('it goes on', () => load.acknowledged.size > written + 20, 20_000)
    await load.stop()
    for (const [key, value] of load.acknowledged) assert.equal(text(await store.get(key)), value, key)
  })

  test(`${label} ends at once while the server stands still`, async () => {
    const store = await open(20_000)
    await store.set('a', bytes('1'))
    server.pause()
    try {
      const asked = assert.rejects(store.get('a'), { code: 'closed' })
      await pause(50)
      const started = performance.now()
      await store[Symbol.asyncDispose]()
      await asked
      assert.ok(performance.now() - started < slackMs)
    } finally {
      server.resume()
    }
  })

  test(`${label} lives with connections that are reset and slow, and keeps few`, async () => {
    await using link = await FaultyLink.to(server.port)
    await using store = await open(2000, link.port)
    await using load = new Load(store, 2000)
    let most = 0
    for (let round = 0; round < 5; round++) {
      link.delayMs = round % 2 === 0 ? 20 : 0
      const written = load.acknowledged.size
      await until('some are written', () => load.acknowledged.size > written + 20, 20_000)
      most = Math.max(most, link.connections)
      link.reset()
    }
    await load.stop()
    assert.ok(most <= 20, `${most} connections`)
    for (const [key, value] of load.acknowledged) assert.equal(text(await store.get(key)), value, key)
  })

  test(`${label} lets go of a connection that fell silent, and takes another`, async () => {
    await using link = await FaultyLink.to(server.port)
    await using store = await open(500, link.port)
    await store.set('a', bytes('1'))
    link.delayMs = 3000
    assert.notEqual(await inTime(500, store.get('a')), undefined)
    link.delayMs = 0
    assert.equal(text(await store.get('a')), '1')
  })

  test(`${label} makes new connections where those that nobody used are lost`, async () => {
    await using store = await open(2000)
    await Promise.all(Array.from({ length: 8 }, (_, index) => store.set(`idle/${index}`, bytes('1'))))
    await server.kill()
    await server.start()
    await until('it goes on', async () => (await inTime(2000, store.get('idle/0'))) === undefined)
    assert.equal((await store.list({ prefix: 'idle/' })).length, 8)
  })

  test(`${label} says when the password is wrong, and goes on when it is right again`, async () => {
    await using link = await FaultyLink.to(server.port)
    await using store = await open(1000, link.port)
    await store.set('a', bytes('1'))
    await setPassword(server.port, 'another', password)
    try {
      link.reset()
      await until('it is refused', async () => (await codeOf(store.get('a'))) === 'unauthenticated')
      await assert.rejects(open(1000), (error: ServiceError) => {
        assert.equal(error.code, 'unauthenticated')
        assert.ok(!error.message.includes(password))
        return true
      })
    } finally {
      await setPassword(server.port, password, 'another')
    }
    assert.equal(text(await store.get('a')), '1')
  })

  test(`${label} is not opened where there is no server`, async () => {
    await using link = await FaultyLink.to(server.port)
    const { port } = link
    await link[Symbol.asyncDispose]()
    await assert.rejects(open(1000, port), { code: 'unavailable' })
  })
}

/** A few writers that go on whatever happens, each of whose calls must end in time and with a code. */
class Load implements AsyncDisposable {
  readonly acknowledged = new Map<string, string>()
  failed = 0
  readonly #store: Store
  readonly #timeoutMs: number
  readonly #writers: Promise<void>
  #stopped = false

  constructor(store: Store, timeoutMs: number) {
    this.#store = store
    this.#timeoutMs = timeoutMs
    this.#writers = Promise.all([0, 1, 2, 3].map((writer) => this.#write(writer))).then(() => undefined)
    this.#writers.catch(() => undefined)
  }

  /** @throws where a call took too long or failed without a code. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#writers
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined)
  }

  async #write(writer: number): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      const [key, value] = [`load/${writer}/${count}`, `value ${count}`]
      const code = await inTime(this.#timeoutMs, this.#store.set(key, bytes(value)))
      if (code === undefined) this.acknowledged.set(key, value)
      else {
        this.failed++
        await pause(5)
      }
    }
  }
}

/** The code that a call fails with, or `undefined`. */
async function inTime(timeoutMs: number, call: Promise<unknown>): Promise<string | undefined> {
  const started = performance.now()
  const code = await codeOf(call)
  const tookMs = performance.now() - started
  assert.ok(tookMs < timeoutMs + slackMs, `a call took ${tookMs} ms`)
  assert.ok(code === undefined || away.has(code), `a call failed with ${code}`)
  return code
}

async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call
    return undefined
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error))
    return error.code
  }
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function text(value: Uint8Array | undefined): string | undefined {
  return value && new TextDecoder().decode(value)
}
