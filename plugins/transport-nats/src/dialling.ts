import { ServiceError, type Connection, type ConnectionHandler } from '@micrograft/contracts'
import { within, type NatsLink } from '@micrograft/nats-link'
import { createInbox, type Msg } from '@nats-io/transport-node'
import { greetingSubject } from './address.js'
import type { ConnectionMakes } from './door.js'
import { decodeGreeting, encodeGreeting } from './greeting.js'
import type { ConnectionEnds, NatsPeerConnection } from './nats-connection.js'

const nothing = new Uint8Array(0)

/**
 * A connection with who listens on a subject: by a greeting with a peer of Micrograft, else as go-micro has it.
 * @param signal Ends it: the dialler waits no longer.
 */
export async function dialPeer(
  link: NatsLink,
  subject: string,
  handler: ConnectionHandler,
  keepAliveMs: number,
  makes: ConnectionMakes,
  signal: AbortSignal,
): Promise<Connection> {
  const inbox = createInbox()
  let connection: NatsPeerConnection | undefined
  let welcomed!: (message: Msg) => void
  const welcome = new Promise<Msg>((resolve) => (welcomed = resolve))
  // What comes right behind the welcome is there before whoever waits for that has its turn.
  const early: Msg[] = []
  let greeted = false
  const subscription = link.subscribe(inbox, (message) => {
    if (connection) connection.hear(message)
    else if (greeted) early.push(message)
    else welcomed(message)
    greeted = true
  })
  const forget = (): void => link.unsubscribe(subscription)
  const join = (ends: Omit<ConnectionEnds, 'inbox' | 'onOver'>): Connection => {
    const joined = (connection = makes.connection({ ...ends, inbox, remote: subject, onOver: forget }))
    // Whoever dials knows the connection before anything is told of it.
    setImmediate(() => joined.attach(handler))
    for (const message of early) connection.hear(message)
    return connection
  }
  try {
    const greeting = encodeGreeting({ version: 1, keepAliveMs })
    await link.publish(greetingSubject(subject), greeting, { reply: inbox }, signal)
    const { data, headers, reply } = await within(welcome, signal)
    if (headers?.code === 503) {
      if (!(await heardBySomebody(link, subject, signal))) throw unreached(subject, 'nobody listens there')
      signal.throwIfAborted()
      return join({ peer: subject, wire: makes.goWire(), peerKeepAliveMs: Infinity })
    }
    const peer = decodeGreeting(data)
    if (peer.refused !== undefined || reply === undefined)
      throw unreached(subject, peer.refused ?? 'no inbox')
    signal.throwIfAborted()
    return join({ peer: reply, wire: makes.peerWire(), peerKeepAliveMs: peer.keepAliveMs })
  } catch (error) {
    forget()
    throw error
  }
}

/**
 * Whether anybody hears a subject. The server answers at once where nobody does, before it answers
 * the flush; who does gets an empty message, which no peer takes for one.
 */
export async function heardBySomebody(
  link: NatsLink,
  subject: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let heard = true
  const inbox = createInbox()
  const subscription = link.subscribe(inbox, ({ headers }) => {
    if (headers?.code === 503) heard = false
  })
  try {
    await link.publish(subject, nothing, { reply: inbox }, signal)
    return heard
  } finally {
    link.unsubscribe(subscription)
  }
}

export function unreached(subject: string, why: string): ServiceError {
  return new ServiceError('unavailable', `cannot reach ${subject} over nats: ${why}; is the service running?`)
}
