import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { pause, until } from '../wait.js'
import { aborted, dispatcher, echo } from './dispatcher.js'
import { request } from './request.js'

export const givingUpCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'timeout: the caller gets it at its deadline, never early, and the handler is told',
    async run({ client, start }) {
      let reason: unknown
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            reason = await aborted(signal)
            return bytes('')
          },
        }),
      )
      await client.call(node, request('Say.Wait', '', { timeoutMs: 20 })).catch(() => undefined)
      reason = undefined
      for (const timeoutMs of [30, 55, 101]) {
        const before = performance.now()
        const since = () => performance.now() - before
        // As late as timers are where the machine is busy.
        const timer = pause(timeoutMs).then(since)
        await assert.rejects(client.call(node, request('Say.Wait', '', { timeoutMs })), code('timeout'))
        const took = since()
        assert.ok(took >= timeoutMs, `after ${took} ms of ${timeoutMs}`)
        const latest = (await timer) + 250
        assert.ok(took < latest, `after ${took} ms of ${timeoutMs}, later than ${latest}`)
      }
      await until('the handler is told', () => reason)
      assert.ok(
        reason instanceof ServiceError && ['timeout', 'canceled'].includes(reason.code),
        String(reason),
      )
    },
  },
  {
    name: 'timeout: a handler that does not listen does not keep the caller, and the connection goes on',
    async run({ client, start }) {
      let end: () => void = () => undefined
      const { node } = await start(
        dispatcher({
          'Say.Wait': async () => {
            await new Promise<void>((resolve) => (end = resolve))
            return bytes('late')
          },
          'Say.Hello': echo,
        }),
      )
      await assert.rejects(client.call(node, request('Say.Wait', '', { timeoutMs: 30 })), code('timeout'))
      const next = client.call(node, request('Say.Hello', 'next'))
      end()
      assert.equal(text((await next).body), 'next')
    },
  },
  {
    name: 'abort: the caller gets its reason at once, and the handler is told',
    async run({ client, start }) {
      let reason: unknown
      let running = false
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running = true
            reason = await aborted(signal)
            return bytes('')
          },
        }),
      )
      const controller = new AbortController()
      const call = client.call(node, request('Say.Wait'), { signal: controller.signal })
      await until('the handler runs', () => running)
      controller.abort(new Error('given up'))
      await assert.rejects(call, /given up/)
      await until('the handler is told', () => reason)
      assert.ok(reason instanceof ServiceError && reason.code === 'canceled')
    },
  },
  {
    name: 'a signal that is aborted already sends nothing',
    async run({ client, start }) {
      let calls = 0
      const { node } = await start(dispatcher({ 'Say.Hello': async () => bytes(String(++calls)) }))
      const signal = AbortSignal.abort(new Error('before'))
      await assert.rejects(client.call(node, request('Say.Hello'), { signal }), /before/)
      await assert.rejects(client.stream(node, request('Stream.Hello'), { signal }), /before/)
      assert.equal(text((await client.call(node, request('Say.Hello'))).body), '1')
    },
  },
  {
    name: 'a signal that lasts keeps no listener of calls that have ended',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const { signal } = new AbortController()
      let listeners = 0
      const { addEventListener, removeEventListener } = signal
      signal.addEventListener = (...each: Parameters<typeof addEventListener>) => {
        listeners++
        addEventListener.apply(signal, each)
      }
      signal.removeEventListener = (...each: Parameters<typeof removeEventListener>) => {
        listeners--
        removeEventListener.apply(signal, each)
      }
      for (let i = 0; i < 5; i++) await client.call(node, request('Say.Hello'), { signal })
      assert.equal(listeners, 0)
    },
  },
  {
    name: 'the deadline passed on is what is left of it',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({ 'Say.Left': async ({ deadline }) => bytes(String((deadline ?? 0) - Date.now())) }),
      )
      const left = Number(text((await client.call(node, request('Say.Left', '', { timeoutMs: 2000 }))).body))
      assert.ok(left > 500 && left <= 2010, `${left} ms are left`)
    },
  },
]
