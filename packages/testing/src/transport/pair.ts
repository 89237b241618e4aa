import assert from 'node:assert/strict'
import type { Connection, ConnectionHandler, Listener, Message, ServiceError } from '@micrograft/contracts'
import { bytes } from '../bytes.js'
import type { TransportSubject } from '../transport-cases.js'
import { until } from '../wait.js'

/** One end of a connection with what it was told. */
export interface End {
  readonly connection: Connection
  readonly messages: Message[]
  closed: boolean
  error: ServiceError | undefined
}

export interface Pair extends AsyncDisposable {
  readonly listener: Listener
  readonly near: End
  readonly far: End
}

/** What a connection is told, and what to tell it with. */
export function endOf(): {
  handler: ConnectionHandler
  end: Omit<End, 'connection'> & { connection?: Connection }
} {
  const end: Omit<End, 'connection'> & { connection?: Connection } = {
    messages: [],
    closed: false,
    error: undefined,
  }
  const handler = {
    message: (message: Message) => void end.messages.push(message),
    closed: (error: ServiceError | undefined) => {
      assert.equal(end.closed, false, 'closed is told once')
      end.closed = true
      end.error = error
    },
  }
  return { handler, end }
}

/** Two ends of one connection. */
export async function pair({ transport, address }: TransportSubject): Promise<Pair> {
  const far = endOf()
  const listener = await transport.listen(address, (connection) => {
    if (far.end.connection) return endOf().handler
    far.end.connection = connection
    return far.handler
  })
  const near = endOf()
  near.end.connection = await transport.dial(listener.address, near.handler)
  await until('the connection is accepted', () => far.end.connection)
  return {
    listener,
    near: near.end as End,
    far: far.end as End,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  }
}

export function message(value: string, header: Message['header'] = {}): Message {
  return { header, body: bytes(value) }
}
