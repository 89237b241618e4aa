import type { Case } from '../case.js'
import type { Asking, HandlerSubject } from '../handler-cases.js'
import { pause } from '../wait.js'
import { within } from '../within.js'
import { ask, definitionsOf, leave, readWhatIsThere } from './asking.js'

function streamsOf({ handlers, asks }: HandlerSubject): readonly Asking[] {
  const definitions = definitionsOf(handlers)
  return asks.filter(({ endpoint }) => definitions.get(endpoint)?.kind !== 'unary')
}

export const streamEndCases: readonly Case<HandlerSubject>[] = [
  {
    name: 'context.signal ends a stream that waits',
    async run(subject) {
      for (const asking of streamsOf(subject)) {
        const { endpoint } = asking
        const controller = new AbortController()
        const { definition, answer } = ask(subject.handlers, asking, controller.signal, true)
        const abort = () => controller.abort(new Error('the caller is gone'))
        if (definition.kind === 'client') {
          await pause(1)
          abort()
          await within(5000, `${endpoint} ends`, Promise.allSettled([answer]))
          continue
        }
        const reading = await readWhatIsThere((await answer) as AsyncIterable<unknown>, 100)
        abort()
        await leave(endpoint, reading)
      }
    },
  },
  {
    name: 'a signal that is aborted already ends a stream',
    async run(subject) {
      for (const asking of streamsOf(subject)) {
        const { endpoint } = asking
        const signal = AbortSignal.abort(new Error('the caller is gone'))
        const { definition, answer } = ask(subject.handlers, asking, signal, true)
        const [result] = await within(5000, `${endpoint} ends`, Promise.allSettled([answer]))
        if (definition.kind === 'client' || result.status === 'rejected') continue
        const iterator = (result.value as AsyncIterable<unknown>)[Symbol.asyncIterator]()
        await within(5000, `${endpoint} ends`, Promise.allSettled([iterator.next()]))
        await within(5000, `${endpoint} is left`, Promise.allSettled([iterator.return?.()]))
      }
    },
  },
  {
    name: 'leaving a stream ends it, with no need of the signal',
    async run(subject) {
      for (const asking of streamsOf(subject)) {
        for (let i = 0; i < 3; i++) {
          const controller = new AbortController()
          const { definition, answer } = ask(subject.handlers, asking, controller.signal)
          if (definition.kind === 'client') continue
          const reading = await readWhatIsThere((await answer) as AsyncIterable<unknown>, 1)
          // One that waits cannot be left before it gives something.
          if (reading.waits) controller.abort(new Error('the caller leaves'))
          await leave(asking.endpoint, reading)
        }
      }
    },
  },
]
