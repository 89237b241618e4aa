import { connect } from 'node:net'
import type { NatsPlace } from './nats-options.js'

/**
 * Resolves when one of the places answers. The client library leaves a connection open to a server that
 * takes it and then says nothing, and with it the process; so it is asked only once one has spoken.
 *
 * @param spoken Whether a server speaks first, as all do that do not want TLS before anything else.
 */
export async function someAnswer(
  places: readonly NatsPlace[],
  timeoutMs: number,
  spoken: boolean,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController()
  const late = setTimeout(
    () =>
      over.abort(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'ConnectionError' })),
    timeoutMs,
  )
  const give = (): void => over.abort(signal.reason)
  signal.addEventListener('abort', give, { once: true })
  try {
    await Promise.any(places.map((place) => answer(place, spoken, over.signal)))
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof AggregateError ? error.errors[0] : error
  } finally {
    clearTimeout(late)
    signal.removeEventListener('abort', give)
    over.abort()
  }
}

function answer({ host, port }: NatsPlace, spoken: boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host)
    const end = (): void => {
      reject(signal.reason as Error)
      socket.destroy()
    }
    signal.addEventListener('abort', end, { once: true })
    socket.once('error', reject)
    socket.once('close', () => {
      signal.removeEventListener('abort', end)
      reject(Object.assign(new Error('the connection was closed'), { name: 'ConnectionError' }))
    })
    socket.once(spoken ? 'data' : 'connect', () => {
      resolve()
      socket.destroy()
    })
  })
}
