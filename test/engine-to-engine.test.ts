import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createService, type Service } from 'micrograft'
import { pause, until } from '@micrograft/testing'
import { natsServer, rabbitmq, unusable, usableServer, type TestServer } from '@micrograft/test-support'

const file = (name: string) =>
  fileURLToPath(
    new URL(
      `../plugins/${name.replace('.', '-')}/dist/${name.replace('.', '-')}.plugin.cjs`,
      import.meta.url,
    ),
  )
const kinds = [natsServer(), rabbitmq]
const reason = kinds.map(unusable).find((each) => each !== undefined)
let servers: TestServer[] = []
before(async () => {
  if (reason === undefined) servers = await Promise.all(kinds.map(usableServer))
})
after(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]()
})
const at = (index: number) => ({ addresses: [servers[index]?.address] })

async function services(
  t: TestContext,
  names: readonly string[],
): Promise<{ folder: string; all: Service[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-engines-'))
  const all = names.map((name) =>
    createService({
      name,
      registry: { use: 'local', options: { directory: `${folder}/nodes` } },
      logger: 'noop',
    }),
  )
  t.after(async () => {
    for (const each of all) await each.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return { folder, all }
}

test(
  'a publisher and its subscribers move from http to nats and on to rabbitmq, and no message is lost or doubled',
  { skip: reason },
  async (t) => {
    const { all } = await services(t, ['publisher', 'one', 'two'])
    const [publisher, one, two] = all as [Service, Service, Service]
    for (const each of all) await each.start()
    const queued = new Map<number, number>()
    const every = [new Map<number, number>(), new Map<number, number>()] as const
    const count = (counts: Map<number, number>) => (n: number) => void counts.set(n, (counts.get(n) ?? 0) + 1)
    for (const [i, service] of [one, two].entries()) {
      await service.subscribe('numbers', count(queued), { queue: 'workers', concurrency: 16 })
      await service.subscribe('numbers', count(every[i as 0]), { concurrency: 16 })
    }

    let published = 0
    const stopping = new AbortController()
    const publishing = (async () => {
      while (!stopping.signal.aborted) {
        await publisher.publish('numbers', published)
        published++
        if (published % 5 === 0) await pause(1)
      }
    })()
    for (const [name, options] of [
      ['broker.nats', at(0)],
      ['broker.rabbitmq', at(1)],
    ] as const) {
      const before = published
      await until('messages flow', () => published > before + 50)
      // Those that receive move first, and stay on both brokers until the publisher has moved.
      const moving = [one, two].map((service) => {
        const on = new Promise<void>((resolve) => {
          const end = service.onSwap(({ phase }) => {
            if (phase !== 'switched') return
            end()
            resolve()
          })
        })
        return { on, done: service.swap('broker', file(name), { options, watchMs: 3000, drainMs: 20_000 }) }
      })
      await Promise.all(moving.map(({ on }) => on))
      await publisher.swap('broker', file(name), { options, watchMs: 0, drainMs: 20_000 })
      const then = published
      await Promise.all(moving.map(({ done }) => done))
      await until('messages flow', () => published > then + 50)
    }
    stopping.abort()
    await publishing
    await until(
      'all have come',
      () => [queued, ...every].every(({ size }) => size === published),
      20_000,
    ).catch(() => undefined)
    for (const [what, counts] of [
      ['the queue', queued],
      ['each of one', every[0]],
      ['each of two', every[1]],
    ] as const) {
      const missingOnes = Array.from({ length: published }, (_, n) => n).filter((n) => !counts.has(n))
      const doubled = [...counts].filter(([, times]) => times > 1).map(([n]) => n)
      assert.deepEqual({ what, missingOnes, doubled }, { what, missingOnes: [], doubled: [] })
    }
  },
)
