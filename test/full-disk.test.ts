import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { pause, until } from '@micrograft/testing'
import {
  mariadb,
  missing,
  mosquitto,
  natsServer,
  postgres,
  redisServer,
  ServerProcess,
  SmallDisk,
  type ServerKind,
} from '@micrograft/test-support'
import { broker, deadlineMs, expectCoded, registry, store, Workshop, type Cell } from './support/parts.js'

// The disk of a server is full for a while. RabbitMQ's and etcd's own limits of disk are tried with
// their plugins, and the files of SQLite.

interface Disk {
  readonly name: string
  readonly kind: ServerKind
  readonly bytes: number
  readonly cells: readonly Cell[]
  /** What an operator does when there is room again. */
  readonly mend?: ((server: ServerProcess) => Promise<void>) | undefined
  /** It takes what it is given all the same. */
  readonly isPatient?: boolean | undefined
  /** It acknowledges before it writes: what it takes while the disk runs full may be gone when it is restarted. */
  readonly writesLate?: boolean | undefined
}

async function restart(server: ServerProcess): Promise<void> {
  await server.kill()
  await server.start()
}

const disks: readonly Disk[] = [
  {
    name: 'Redis',
    kind: redisServer(['--appendfsync', 'everysec']),
    bytes: 60_000_000,
    cells: [
      broker('redis', 'redis', { commandTimeoutMs: deadlineMs }),
      store('redis', 'redis', { commandTimeoutMs: deadlineMs }),
      registry('redis', 'redis', { commandTimeoutMs: deadlineMs }),
    ],
  },
  {
    name: 'NATS',
    kind: natsServer(),
    bytes: 60_000_000,
    cells: [
      broker(
        'nats',
        'nats',
        { timeoutMs: deadlineMs, prefix: 'kept', jetstream: { stream: 'kept', maxBytes: 300_000_000 } },
        { label: 'JetStream' },
      ),
      store('nats', 'nats', { timeoutMs: deadlineMs, maxBytes: 300_000_000 }),
    ],
    // It turns JetStream off when it cannot write, until it is started again.
    mend: restart,
    writesLate: true,
  },
  {
    name: 'PostgreSQL',
    kind: postgres,
    bytes: 120_000_000,
    cells: [store('postgres', 'postgres', { timeoutMs: deadlineMs })],
  },
  {
    name: 'MariaDB',
    kind: mariadb,
    bytes: 260_000_000,
    cells: [store('mariadb', 'mysql', { timeoutMs: deadlineMs })],
  },
  {
    name: 'Mosquitto',
    kind: mosquitto,
    bytes: 20_000_000,
    cells: [broker('mosquitto', 'mqtt', { publishTimeoutMs: deadlineMs })],
    isPatient: true,
  },
]

async function fill(
  t: TestContext,
  { kind, bytes, cells, mend, isPatient = false, writesLate = false }: Disk,
): Promise<void> {
  const disk = await SmallDisk.mount(bytes)
  if (!disk) return t.skip('needs to mount a small file system, as root on Linux')
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-full-'))
  const workshop = new Workshop(folder)
  const server = await ServerProcess.start(kind, disk.folder)
  try {
    const used = await Promise.all(cells.map((cell) => cell.use(server.address, workshop)))
    await Promise.all(used.map(({ load }) => load.goesOn()))
    const taken = used.map(({ load }) => load.acknowledged.length)
    await disk.fill()
    if (isPatient) await pause(1500)
    else await until('calls fail', () => used.every(({ load }) => load.failed > 20), 20_000)
    if (writesLate) used.forEach(({ load }, index) => load.acknowledged.splice(taken[index] as number))
    await disk.makeRoom()
    await mend?.(server)
    await Promise.all(used.map(({ load }) => load.goesOn()))
    for (const { load, verify } of used) {
      await load.end()
      if (isPatient) assert.equal(load.failed, 0)
      else expectCoded(load)
      await verify()
    }
  } finally {
    await workshop[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await disk[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  }
}

describe(
  'what was acknowledged is there, and all goes on, when the disk was full',
  { concurrency: true },
  () => {
    for (const disk of disks)
      test(`of ${disk.name}`, { skip: missing(disk.kind) ?? false }, (t) => fill(t, disk))
  },
)
