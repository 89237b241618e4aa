import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pause } from '@micrograft/testing'
import {
  etcd,
  mariadb,
  missing,
  mosquitto,
  natsServer,
  postgres,
  rabbitmq,
  redisServer,
  ServerProcess,
  type ServerKind,
} from '@micrograft/test-support'
import {
  broker,
  bytesOfACall,
  deadlineMs,
  everyMs,
  expectCoded,
  registry,
  store,
  transport,
  Workshop,
  type Cell,
  type ServerName,
  type Used,
} from './support/parts.js'

// Every server stands still at once, under load, for longer than all deadlines and most timers of
// those who use it: their own tests have it stand still for moments.

/** How long, in milliseconds. */
const stillMs = Number(process.env['TEST_STILL_MS'] ?? 15_000)
/** What is in memory may differ by this for other reasons, in bytes: less than one load sends meanwhile. */
const mostGrowth = Math.min(16_000_000, ((stillMs / 2 / everyMs) * bytesOfACall) / 1.2)

const kinds = { nats: natsServer(), redis: redisServer(), rabbitmq, mosquitto, etcd, postgres, mariadb }

let folder: string
let workshop: Workshop
const servers = new Map<ServerName, ServerProcess>()
const used = new Map<string, Used>()
const memory: number[] = []

const redisTimes = { commandTimeoutMs: deadlineMs }
const times = { timeoutMs: deadlineMs }
// A connection that says nothing is given up soon: until then it keeps what is sent on it.
const natsTimes = { ...times, pingIntervalMs: 1000 }
const cells: readonly Cell[] = [
  broker('nats', 'nats', { ...natsTimes, prefix: 'core' }, { isKept: false, label: 'nats' }),
  broker(
    'nats',
    'nats',
    { ...natsTimes, prefix: 'kept', jetstream: { stream: 'kept', maxBytes: 300_000_000 } },
    { label: 'JetStream' },
  ),
  broker('redis', 'redis', redisTimes),
  broker('rabbitmq', 'rabbitmq', { publishTimeoutMs: deadlineMs, heartbeatMs: 1000 }),
  broker('mosquitto', 'mqtt', { publishTimeoutMs: deadlineMs, keepAliveMs: 2000 }),
  registry('etcd', 'etcd', times),
  registry('nats', 'nats', natsTimes),
  registry('redis', 'redis', redisTimes),
  store('redis', 'redis', redisTimes),
  store('nats', 'nats', { ...natsTimes, maxBytes: 300_000_000 }),
  store('postgres', 'postgres', times),
  store('mariadb', 'mysql', times),
  transport,
]
const skip = (server: ServerName) => missing(kinds[server]) ?? false

function inUse(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'micrograft-still-'))
  workshop = new Workshop(folder)
  const there = (Object.keys(kinds) as ServerName[]).filter((name) => skip(name) === false)
  await Promise.all(
    there.map(async (name) => servers.set(name, await ServerProcess.start(kinds[name] as ServerKind))),
  )
  for (const cell of cells) {
    const server = servers.get(cell.server)
    if (server) used.set(cell.name, await cell.use(server.address, workshop))
  }
  await Promise.all([...used.values()].map(({ load }) => load.goesOn()))
  for (const server of servers.values()) server.pause()
  await pause(stillMs / 2)
  memory.push(inUse())
  await pause(stillMs / 2)
  memory.push(inUse())
  for (const server of servers.values()) server.resume()
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()))
  await rm(folder, { recursive: true, force: true })
})

for (const { name, server } of cells) {
  test(
    `${name} goes on when its server has stood still, and nobody has waited longer than he would`,
    { skip: skip(server) },
    async () => {
      const { load, verify } = used.get(name) as Used
      await load.goesOn()
      await load.end()
      expectCoded(load)
      await verify()
    },
  )
}

test('memory does not grow with what is asked of servers that stand still', (t) => {
  if (!('gc' in globalThis)) return t.skip('needs --expose-gc')
  const [early = 0, late = 0] = memory
  assert.ok(late - early < mostGrowth, `it grew by ${late - early} bytes`)
})
