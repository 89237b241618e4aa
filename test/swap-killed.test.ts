import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Member } from '@micrograft/bench/dist/swap/member.js'
import type { MemberAsks, MemberInput } from '@micrograft/bench/dist/swap/member-protocol.js'
import { buildPluginFiles, type PluginFiles } from '@micrograft/bench/dist/swap/plugin-files.js'
import { until } from '@micrograft/testing'
import type { SwapPhase } from 'micrograft'

interface Kill {
  readonly when: string
  /** Options of the service, before and after. */
  readonly options?: (folder: string) => Promise<Readonly<Record<string, unknown>>>
  readonly swap: (folder: string) => MemberAsks['swap']['with']
  /** The process is killed when the swap has come so far. */
  readonly phase: SwapPhase
}

const watched = { watchMs: 60_000 }

let base: string
let files: PluginFiles
/** What a start takes where nothing was killed, in milliseconds. */
let normalMs: number

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'micrograft-'))
  files = await buildPluginFiles(base, ['handler', 'server', 'registry', 'broker', 'middleware'])
  const took: number[] = []
  for (let i = 0; i < 3; i++) {
    const member = new Member({ ...input(join(base, `normal-${i}`)), role: 'greeter' })
    took.push(await startUp(member))
    await member.stop()
  }
  normalMs = took.sort((a, b) => a - b)[1] as number
})
after(() => rm(base, { recursive: true, force: true }))

function input(folder: string): Omit<MemberInput, 'role'> {
  return {
    directory: join(folder, 'nodes'),
    middleware: files.middleware.versions[0],
    handler: files.handler.versions[0],
    makeTimeoutMs: 20_000,
  }
}

/** How long a process takes until it serves, in milliseconds. */
async function startUp(member: Member): Promise<number> {
  const began = performance.now()
  await member.ask('start')
  return performance.now() - began
}

/** One that nobody gets who asks for any: those are of higher numbers. */
async function freeAddress(): Promise<string> {
  for (;;) {
    const port = randomInt(15_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return `127.0.0.1:${port}`
  }
}

const kills: readonly Kill[] = [
  {
    when: 'handlers are being made',
    options: async (folder) => ({
      address: await freeAddress(),
      id: 'one',
      admin: join(folder, 'admin.sock'),
    }),
    swap: () => ({ type: 'handler', target: files.handler.broken['never-settles'], options: {} }),
    phase: 'preparing',
  },
  {
    when: 'a server has taken over and is watched',
    swap: () => ({ type: 'server', target: files.server.versions[0], options: watched }),
    phase: 'switched',
  },
  {
    when: 'the handlers of before still have streams',
    swap: () => ({ type: 'handler', target: files.handler.versions[1], options: { watchMs: 0 } }),
    phase: 'draining',
  },
  {
    when: 'another transport has its door',
    options: async (folder) => ({ transport: 'unix', address: `unix:${join(folder, 'door.sock')}` }),
    swap: () => ({ type: 'transport', target: 'unix', options: watched }),
    phase: 'switched',
  },
  {
    when: 'it is registered twice',
    swap: (folder) => ({
      type: 'registry',
      target: files.registry.versions[0],
      options: { ...watched, options: { directory: join(folder, 'other') } },
    }),
    phase: 'switched',
  },
  {
    when: 'its subscriptions are on two brokers',
    swap: () => ({ type: 'broker', target: files.broker.versions[0], options: watched }),
    phase: 'switched',
  },
  {
    when: 'a store is being copied to the one that it starts with again',
    options: async (folder) => ({ store: { use: 'file', options: { addresses: [join(folder, 'store')] } } }),
    swap: (folder) => ({
      type: 'store',
      target: 'file',
      options: { ...watched, copy: true, options: { addresses: [join(folder, 'copy')] } },
    }),
    phase: 'preparing',
  },
]

for (const [i, { when, options, swap, phase }] of kills.entries()) {
  test(`a process that is killed when ${when} starts again as ever, and its callers go on`, async (t) => {
    const folder = join(base, String(i))
    await mkdir(join(folder, 'nodes'), { recursive: true, mode: 0o700 })
    const own: MemberInput = { ...input(folder), role: 'greeter', options: await options?.(folder) }
    const running: Member[] = []
    const run = (given: MemberInput) => {
      const member = new Member(given)
      running.push(member)
      return member
    }
    t.after(() => Promise.all(running.map((each) => each.kill())))
    const first = run(own)
    await startUp(first)
    const caller = run({ ...input(folder), role: 'caller' })
    await startUp(caller)
    await caller.ask('begin', { calls: 8, keeps: 2, streams: 1, channels: 1, lasting: true, publishers: 1 })
    assert.equal(await caller.ask('pass', 100), 0)

    const reached = new Promise<void>((resolve) => {
      first.onSwap = (step) => step.phase === phase && resolve()
    })
    const swapped = first.ask('swap', swap(folder)).then(
      () => 'it ended',
      (error: Error) => error.message,
    )
    await reached
    if (phase !== 'preparing') assert.equal(await caller.ask('pass', 20), 0, 'calls go on until then')
    await first.kill()
    assert.match(await swapped, /SIGKILL/)

    const second = run(own)
    const ms = await startUp(second)
    assert.ok(ms < 3 * normalMs + 1000, `it took ${ms} ms to start, and otherwise ${normalMs}`)
    await until('callers go on', async () => (await caller.ask('pass', 50)) === 0, 10_000)
    const { published } = (await caller.ask('report')).load
    await until('messages go on', async () => {
      const now = (await caller.ask('report')).load.published
      return (now[0] as number) > (published[0] as number) + 5
    })
    const { handled, doubled } = await second.ask('report')
    assert.ok(handled > 0)
    assert.equal(doubled, 0)
  })
}
