import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { ServiceError } from '@micrograft/contracts'

export interface MdnsPlace {
  readonly group: string
  readonly port: number
  /** The address of the interface, or its name for IPv6; `undefined` is the system's choice. */
  readonly interface: string | undefined
}

/** Told of every datagram. */
export type Heard = (bytes: Buffer, from: RemoteInfo) => void

/** Answers that wait to be sent; further ones are dropped, as a full buffer of the system drops them. */
const maxAnswers = 4096
/** A burst that a receiver's buffer holds. */
const burst = 16
const burstEveryMs = 2

interface Waiting {
  readonly bytes: Buffer
  readonly port: number
  readonly address: string
  readonly sent: (error: Error | null) => void
}

/**
 * The two sockets of an mDNS peer: one on the group's port, which hears everybody and answers, and
 * one on a port of its own, which asks and is answered.
 */
export class MdnsSockets {
  readonly #place: MdnsPlace
  readonly #everybody: Socket
  readonly #own: Socket
  readonly #answers: Waiting[] = []
  readonly #told: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  private constructor(place: MdnsPlace, everybody: Socket, own: Socket) {
    this.#place = place
    this.#everybody = everybody
    this.#own = own
  }

  /** @throws `unavailable` where the port or the group is not to be had. */
  static async open(place: MdnsPlace, heard: Heard): Promise<MdnsSockets> {
    const type = isIPv6(place.group) ? 'udp6' : 'udp4'
    const everybody = createSocket({ type, reuseAddr: true })
    const own = createSocket({ type })
    try {
      await bind(everybody, place.port, undefined)
      everybody.addMembership(place.group, place.interface)
      await bind(own, 0, place.interface)
      for (const socket of [everybody, own]) {
        if (place.interface !== undefined) socket.setMulticastInterface(place.interface)
        socket.setMulticastLoopback(true)
        // A failure to send is told where it was sent; anything else ends no process.
        socket.on('error', () => undefined)
        socket.on('message', heard)
        socket.unref()
      }
      return new MdnsSockets(place, everybody, own)
    } catch (error) {
      everybody.close()
      own.close()
      throw unavailable(place, error)
    }
  }

  /** Asks the group; answers come to the socket that nobody else has. */
  ask(bytes: Buffer): Promise<void> {
    const { group, port } = this.#place
    return new Promise((resolve, reject) => {
      this.#own.send(bytes, port, group, (error) =>
        error ? reject(unavailable(this.#place, error)) : resolve(),
      )
    })
  }

  /** Tells the group, in its turn. */
  tell(bytes: Buffer): Promise<void> {
    const { group, port } = this.#place
    return new Promise((resolve, reject) => {
      const sent = (error: Error | null): void =>
        error ? reject(unavailable(this.#place, error)) : resolve()
      this.#told.push({ bytes, port, address: group, sent })
      this.#start()
    })
  }

  /** Answers one peer, in its turn. */
  answer(bytes: Buffer, { port, address }: RemoteInfo): void {
    if (this.#answers.length >= maxAnswers) return
    this.#answers.push({ bytes, port, address, sent: () => undefined })
    this.#start()
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const { sent } of this.#told.splice(0)) sent(null)
    this.#answers.length = 0
    this.#everybody.close()
    this.#own.close()
  }

  #start(): void {
    this.#timer ??= setTimeout(() => this.#flush(), 0)
  }

  /** Answers first: somebody waits for them. */
  #flush(): void {
    const answers = this.#answers.splice(0, burst)
    for (const { bytes, port, address, sent } of [
      ...answers,
      ...this.#told.splice(0, burst - answers.length),
    ]) {
      this.#everybody.send(bytes, port, address, sent)
    }
    this.#timer = undefined
    if (this.#answers.length + this.#told.length > 0)
      this.#timer = setTimeout(() => this.#flush(), burstEveryMs)
  }
}

function bind(socket: Socket, port: number, address: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, address !== undefined && !address.includes('%') ? address : undefined, () => {
      socket.off('error', reject)
      resolve()
    })
  })
}

function unavailable(
  { group, port, interface: by = 'the default interface' }: MdnsPlace,
  cause: unknown,
): ServiceError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException
  if (code === 'EMSGSIZE')
    return new ServiceError('too-large', 'the record of a node is larger than a datagram', { cause })
  const message = `cannot reach mdns group ${group}:${port} by ${by}: ${code}; is there a network that carries multicast?`
  return new ServiceError('unavailable', message, { cause })
}
