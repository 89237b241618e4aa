import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { MiddlewareSubject } from '../middleware-cases.js'
import { pause, until } from '../wait.js'
import { within } from '../within.js'
import { callPlacesOf } from './places.js'

const unavailable = () => new ServiceError('unavailable', 'out of reach')

export const signalCases: readonly Case<MiddlewareSubject>[] = [
  {
    name: 'an abort reaches next, with its reason, and the reason comes back',
    async run(subject) {
      for (const { name, argument, go } of callPlacesOf(subject)) {
        for (const stream of [false, true]) {
          const controller = new AbortController()
          const reason = new Error('given up')
          let reached = false
          const under = go(argument('one', { signal: controller.signal, stream }), ({ signal }) => {
            reached = true
            assert.ok(signal, `${name} passes no signal on`)
            return new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
            )
          })
          const outcome = assert.rejects(under, (error) => error === reason, name)
          await until('next is called', () => reached)
          controller.abort(reason)
          await outcome
        }
      }
    },
  },
  {
    name: 'what was aborted is not tried again, and waits for nothing',
    async run(subject) {
      for (const { name, argument, go } of callPlacesOf(subject)) {
        for (const afterMs of [undefined, 1]) {
          const controller = new AbortController()
          let calls = 0
          const under = go(argument('one', { signal: controller.signal }), async () => {
            calls++
            if (afterMs === undefined) controller.abort(new Error('given up'))
            throw unavailable()
          })
          const outcome = Promise.allSettled([under])
          if (afterMs !== undefined) await pause(afterMs)
          controller.abort(new Error('given up'))
          const atAbort = calls
          const [{ status }] = await within(2000, `${name} ends once it is aborted`, outcome)
          assert.equal(status, 'rejected', name)
          assert.equal(calls, atAbort, `${name} calls next after the abort`)
        }
      }
    },
  },
  {
    name: 'a signal that lasts keeps no listener of calls that have ended',
    async run(subject) {
      for (const { name, argument, go } of callPlacesOf(subject)) {
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
        for (let i = 0; i < 5; i++) {
          await go(argument(`${i}`, { signal }), async () => i)
          await go(argument(`${i}`, { signal }), () => Promise.reject(unavailable())).catch(() => undefined)
        }
        assert.equal(listeners, 0, name)
      }
    },
  },
]
