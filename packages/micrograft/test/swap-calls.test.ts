import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, serverStream, type Service, type ServiceOptions } from 'micrograft'
import { until } from '@micrograft/testing'
import { CallLoad } from './support/load.js'
import { privateFolder } from './support/folder.js'

const swaps = 12

/** A greeter and a caller of it that find each other by a registry of their own. */
async function pair(
  t: { after(done: () => Promise<void>): void },
  options: Partial<ServiceOptions> = {},
): Promise<{ greeter: Service; caller: Service }> {
  const directory = await privateFolder(t)
  const common = { registry: { use: 'local', options: { directory } }, logger: 'noop', ...options } as const
  const greeter = createService({ name: 'greeter', ...common })
  greeter.handle('Say', {
    Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }),
    Count: serverStream({
      async *handle({ to }: { to: number }) {
        for (let i = 1; i <= to; i++) {
          await new Promise((resolve) => setTimeout(resolve, 1))
          yield i
        }
      },
    }),
  })
  const caller = createService({ name: 'caller', ...common })
  t.after(async () => {
    await caller.stop()
    await greeter.stop()
  })
  await greeter.start()
  await caller.start()
  return { greeter, caller }
}

for (const [what, side, type, target] of [
  ['the client', 'caller', 'client', 'rpc'],
  ['the selector', 'caller', 'selector', 'registry'],
  ['the server', 'greeter', 'server', 'rpc'],
  ['the transport of the service', 'greeter', 'transport', 'tcp'],
  ['the transport of the caller', 'caller', 'transport', 'tcp'],
  ['the registry of the service', 'greeter', 'registry', 'local'],
  ['the registry of the caller', 'caller', 'registry', 'local'],
  ['a codec', 'greeter', 'codec', 'json'],
  ['the logger', 'greeter', 'logger', 'noop'],
  ['the auth', 'caller', 'auth', 'noop'],
  ['the tracer', 'caller', 'tracer', 'noop'],
] as const) {
  test(`no call is lost while ${what} is swapped again and again`, async (t) => {
    const services = await pair(t)
    const service = services[side]
    await using load = new CallLoad(services.caller)
    const sent = collect(services.caller, 200)
    for (let i = 0; i < swaps; i++) {
      const before = load.done
      const report = await service.swap(type, target, { watchMs: 0, drainMs: 20_000 })
      assert.equal(report.outcome, 'swapped')
      assert.equal(report.drained, true)
      await until('calls go on', () => load.done > before)
    }
    await load.end()
    assert.equal(await sent, 200)
  })
}

async function collect(caller: Service, to: number): Promise<number> {
  let last = 0
  for await (const n of caller.client.stream<number>('greeter', 'Say.Count', { to }, { timeoutMs: 60_000 })) {
    assert.equal(n, last + 1)
    last = n
  }
  return last
}
