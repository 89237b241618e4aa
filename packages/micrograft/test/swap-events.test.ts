import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, type Service } from 'micrograft'
import { pause, until } from '@micrograft/testing'
import { privateFolder } from './support/folder.js'

const swaps = 10

/** What came of numbers that were published: each once, or what is wrong. */
class Received {
  readonly counts = new Map<number, number>()

  readonly take = (n: number): void => void this.counts.set(n, (this.counts.get(n) ?? 0) + 1)

  check(published: number, what: string): void {
    const missing = Array.from({ length: published }, (_, n) => n).filter((n) => !this.counts.has(n))
    const doubled = [...this.counts].filter(([, count]) => count > 1).map(([n]) => n)
    assert.deepEqual({ what, missing, doubled }, { what, missing: [], doubled: [] })
  }
}

for (const [what, swapped, targets] of [
  ['the broker of a subscriber', ['one'], ['http']],
  ['the broker of a publisher', ['publisher'], ['http']],
  ['the brokers of all', ['one', 'two', 'publisher'], ['http']],
] as const) {
  test(`no message is lost or doubled while ${what} is swapped again and again`, async (t) => {
    const directory = await privateFolder(t)
    const options = { registry: { use: 'local', options: { directory } }, logger: 'noop' } as const
    const services: Record<string, Service> = {}
    for (const name of ['publisher', 'one', 'two'])
      services[name] = createService({ name, broker: 'http', ...options })
    const { publisher, one, two } = services as Record<'publisher' | 'one' | 'two', Service>
    t.after(async () => {
      for (const each of [publisher, one, two]) await each.stop()
    })
    for (const each of [publisher, one, two]) await each.start()

    const queued = new Received()
    const all = { one: new Received(), two: new Received() }
    for (const [name, service] of [
      ['one', one],
      ['two', two],
    ] as const) {
      await service.subscribe<number>('numbers', queued.take, { queue: 'workers' })
      await service.subscribe<number>('numbers', all[name].take)
    }

    let published = 0
    const stopping = new AbortController()
    const publisherLoop = (async () => {
      while (!stopping.signal.aborted) {
        await publisher.publish('numbers', published)
        published++
        if (published % 10 === 0) await pause(1)
      }
    })()
    for (let i = 0; i < swaps; i++) {
      for (const name of swapped) {
        const before = published
        await services[name]!.swap('broker', targets[i % targets.length] as string, { watchMs: 0 })
        await until('publishing goes on', () => published > before + 20)
      }
    }
    stopping.abort()
    await publisherLoop
    await until('all that was published has come', () =>
      [queued, all.one, all.two].every(({ counts }) => counts.size === published),
    ).catch(() => undefined)
    queued.check(published, 'the queue')
    all.one.check(published, 'each of one')
    all.two.check(published, 'each of two')
  })
}
