import type { Connection, ConnectionHandler } from '@micrograft/contracts'
import type { NatsLink } from '@micrograft/nats-link'
import { createInbox, type Msg } from '@nats-io/transport-node'
import { decodeGreeting, encodeGreeting } from './greeting.js'
import type { ConnectionEnds, ConnectionSettings, NatsPeerConnection } from './nats-connection.js'
import type { PeerWire } from './peer-wire.js'

export type Accept = (connection: Connection) => ConnectionHandler

export interface DoorSettings extends ConnectionSettings {
  readonly maxConnections: number
}

export interface NewConnection extends ConnectionEnds {
  /** The peer, for logs. */
  readonly remote: string
}

export interface ConnectionMakes {
  readonly connection: (ends: NewConnection) => NatsPeerConnection
  readonly peerWire: () => PeerWire
  readonly goWire: () => PeerWire
}

/** Takes connections for one listener: those of Micrograft by their greeting, those of go-micro by their first message. */
export class Door {
  readonly #link: NatsLink
  readonly #accept: Accept
  readonly #settings: DoorSettings
  readonly #makes: ConnectionMakes
  /** Connections of go-micro, by the inbox that they want replies in. */
  readonly #go = new Map<string, NatsPeerConnection>()
  #count = 0

  constructor(link: NatsLink, accept: Accept, settings: DoorSettings, makes: ConnectionMakes) {
    this.#link = link
    this.#accept = accept
    this.#settings = settings
    this.#makes = makes
  }

  /** @throws `protocol` */
  greet({ data, reply }: Msg): void {
    if (reply === undefined) return
    const { keepAliveMs: peerKeepAliveMs } = decodeGreeting(data)
    const { keepAliveMs, maxConnections } = this.#settings
    if (this.#count >= maxConnections) {
      const refused = `it has its ${maxConnections} connections`
      return this.#link.send(reply, encodeGreeting({ version: 1, keepAliveMs, refused }))
    }
    const { connection, inbox } = this.#open(reply, this.#makes.peerWire(), peerKeepAliveMs)
    try {
      this.#link.send(reply, encodeGreeting({ version: 1, keepAliveMs }), { reply: inbox })
    } catch (error) {
      connection.destroy()
      throw error
    }
    connection.attach(this.#accept(connection))
  }

  hearGo(message: Msg): void {
    const { reply, data } = message
    // An empty message asks whether somebody listens, and no more.
    if (reply === undefined || data.byteLength === 0) return
    let connection = this.#go.get(reply)
    if (!connection) {
      if (this.#count >= this.#settings.maxConnections) return
      connection = this.#open(reply, this.#makes.goWire(), Infinity, () => this.#go.delete(reply)).connection
      this.#go.set(reply, connection)
      connection.attach(this.#accept(connection))
    }
    connection.hear(message)
  }

  #open(
    peer: string,
    wire: PeerWire,
    peerKeepAliveMs: number,
    onOver: () => void = () => undefined,
  ): { readonly connection: NatsPeerConnection; readonly inbox: string } {
    const inbox = createInbox()
    const subscription = this.#link.subscribe(inbox, (message) => connection.hear(message))
    this.#count++
    const connection = this.#makes.connection({
      remote: peer,
      peer,
      inbox,
      wire,
      peerKeepAliveMs,
      onOver: () => {
        this.#count--
        this.#link.unsubscribe(subscription)
        onOver()
      },
    })
    return { connection, inbox }
  }
}
