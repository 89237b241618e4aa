import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createService } from 'micrograft'
import { build } from '@micrograft/plugin/build'

test('a service moves from rpc to xrpc and back while it is called, and no call is lost', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-xrpc-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = async (name: string, type: string) => {
    const source = fileURLToPath(new URL(`../plugins/${name}.ts`, import.meta.url))
    return (await build(source, { name, type, outDir: folder })).path
  }
  const [client, server] = [await file('xrpc-client', 'client'), await file('xrpc-server', 'server')]
  const options = {
    registry: { use: 'local', options: { directory: join(folder, 'nodes') } },
    logger: 'noop',
  } as const
  const greeter = createService({ name: 'greeter', ...options })
  greeter.handle('Say', { Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
  // It knows the client, and uses it for nodes that speak its protocol.
  const caller = createService({ name: 'caller', plugins: [client], ...options })
  t.after(async () => {
    await caller.stop()
    await greeter.stop()
  })
  await greeter.start()
  await caller.start()

  const failures: Error[] = []
  let calls = 0
  const stopping = new AbortController()
  const workers = Array.from({ length: 8 }, async (_, worker) => {
    for (let i = 0; !stopping.signal.aborted; i++) {
      const name = `${worker}-${i}`
      try {
        const { msg } = await caller.client.call<{ msg: string }>('greeter', 'Say.Hello', { name })
        assert.equal(msg, `Hello ${name}`)
        calls++
      } catch (error) {
        failures.push(error as Error)
      }
    }
  })
  const goesOn = async () => {
    const enough = calls + 50
    const isEnough = () => calls >= enough
    while (!isEnough()) await new Promise((resolve) => setImmediate(resolve))
  }
  await goesOn()
  for (const [target, protocol] of [
    [server, 'xrpc'],
    ['rpc', 'rpc'],
    [server, 'xrpc'],
  ] as const) {
    const { drained } = await greeter.swap('server', target, { watchMs: 0, drainMs: 20_000 })
    assert.equal(drained, true)
    assert.equal(greeter.record.nodes[0]?.metadata['protocol'], protocol)
    await goesOn()
  }
  stopping.abort()
  await Promise.all(workers)
  assert.deepEqual(failures, [])
})
