import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createService, type Service } from 'micrograft'
import { until } from '@micrograft/testing'

const subscriber = `
  import { createService } from 'micrograft'
  const [directory, topic, queue] = process.argv.slice(1)
  const service = createService({ name: 'subscriber', logger: 'noop', registry: { use: 'local', options: { directory } } })
  await service.start()
  await service.subscribe(topic, (payload) => { process.stdout.write(JSON.stringify(payload) + '\\n') }, queue ? { queue } : {})
  process.stdout.write('ready\\n')
  setInterval(() => {}, 1000)
`

interface Subscriber {
  readonly got: number[]
  kill(): void
}

async function processOf(t: TestContext, directory: string, topic: string, queue = ''): Promise<Subscriber> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', subscriber, directory, topic, queue], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: new URL('..', import.meta.url),
  })
  t.after(() => child.kill('SIGKILL'))
  const lines: string[] = []
  let rest = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() as string
    lines.push(...parts)
  })
  await until('the subscriber is ready', () => lines.includes('ready'), 15_000)
  return {
    get got() {
      return lines.filter((line) => line !== 'ready').map(Number)
    },
    kill: () => child.kill('SIGKILL'),
  }
}

async function publisher(t: TestContext): Promise<{ service: Service; directory: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  const directory = join(folder, 'nodes')
  const service = createService({
    name: 'publisher',
    logger: 'noop',
    registry: { use: 'local', options: { directory } },
  })
  t.after(async () => {
    await service.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await service.start()
  return { service, directory }
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

test('every subscriber without a queue gets every message, in the order of publishing', async (t) => {
  const { service, directory } = await publisher(t)
  const all = [await processOf(t, directory, 'orders'), await processOf(t, directory, 'orders')]
  for (const each of numbers(100)) await service.publish('orders', each)
  await until('all have all', () => all.every(({ got }) => got.length === 100))
  for (const each of all) assert.deepEqual(each.got, numbers(100))
})

test('one of a queue gets each message, and those of another queue too', async (t) => {
  const { service, directory } = await publisher(t)
  const billing = [
    await processOf(t, directory, 'orders', 'billing'),
    await processOf(t, directory, 'orders', 'billing'),
  ]
  const shipping = await processOf(t, directory, 'orders', 'shipping')
  for (const each of numbers(60)) await service.publish('orders', each)
  await until(
    'all are handled',
    () => shipping.got.length === 60 && billing.flatMap(({ got }) => got).length >= 60,
  )
  assert.deepEqual(
    billing.flatMap(({ got }) => got).sort((a, b) => a - b),
    numbers(60),
  )
  for (const { got } of billing) assert.ok(got.length > 0, 'both of the queue are used')
})

test('a subscriber that is killed loses what it alone had, and its queue goes on with the others', async (t) => {
  const { service, directory } = await publisher(t)
  const [first, second] = [
    await processOf(t, directory, 'orders', 'billing'),
    await processOf(t, directory, 'orders', 'billing'),
  ]
  await service.publish('orders', 0)
  first.kill()
  const before = second.got.length
  for (const each of numbers(20)) await service.publish('orders', each + 1)
  await until('the other gets all', () => second.got.length >= before + 20)
})
