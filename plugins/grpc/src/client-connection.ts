import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ServiceError } from '@micrograft/contracts'
import { Farewell } from './farewell.js'
import { dial, type DialTls, type Place } from './dial.js'
import { maxHeaderListBytes, maxSessionMemory, type ResolvedLimits } from './grpc-limits.js'
import { dialError, lostError } from './http2-error.js'
import { askForLife } from './sign-of-life.js'

export interface ConnectionOptions extends ResolvedLimits {
  readonly dialTimeoutMs: number
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
  readonly idleMs: number
}

/** Where a connection leads. */
export interface Target {
  readonly address: string
  readonly place: Place
  readonly tls: DialTls | undefined
}

/** One HTTP/2 connection to a node. */
export class ClientConnection {
  readonly address: string
  /** Resolves when the server has answered; rejects where it is not reached. */
  readonly ready: Promise<this>
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #farewell: Farewell
  readonly #session: ClientHttp2Session
  readonly #options: ConnectionOptions
  #open = false
  #leaving = false
  #lost: ServiceError | undefined
  #streams = 0
  /** Calls that wait until the server takes another. Node would wait too, and hold on to those given up meanwhile. */
  readonly #waiting = new Set<() => void>()
  #idleSince = performance.now()
  #pingedAt: number | undefined
  #aliveAt = performance.now()
  #failed!: (error: ServiceError) => void
  readonly #unusable: () => void

  /** @param unusable Called once, when no new calls may go here. */
  constructor({ address, place, tls }: Target, options: ConnectionOptions, unusable: () => void) {
    this.address = address
    this.#options = options
    this.#unusable = unusable
    const socket = dial(place, tls)
    this.#socket = socket
    this.#farewell = new Farewell(socket)
    // Before the session hears of it: its streams end by what they find here.
    socket.prependOnceListener('close', () => this.#lose(undefined))
    socket.on('error', (error) => {
      this.#lose(error)
      // A TLS socket that fails after its handshake does not end by itself, and the session waits for it.
      socket.destroy()
    })
    const session = connect(`${tls ? 'https' : 'http'}://${authority(address)}`, {
      createConnection: () => socket,
      maxSendHeaderBlockLength: 16_777_216,
      maxSessionMemory,
      settings: {
        enablePush: false,
        initialWindowSize: options.windowBytes,
        maxHeaderListSize: options.maxMetadataBytes,
      },
    })
    this.#session = session
    session.on('error', (error) => this.#lose(error))
    session.once('goaway', () => this.#leave())
    session.on('remoteSettings', () => this.#admit())
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        this.#lose(undefined)
        socket.destroy()
        resolve()
      })
    })
    this.ready = new Promise<this>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          this.destroy(
            new ServiceError('unavailable', `${address} did not answer within ${options.dialTimeoutMs} ms`),
          ),
        options.dialTimeoutMs,
      )
      this.#failed = (error) => {
        clearTimeout(timer)
        reject(error)
      }
      session.once('remoteSettings', () => {
        clearTimeout(timer)
        if (this.#lost) return
        this.#open = true
        this.#aliveAt = this.#idleSince = performance.now()
        // What all streams share must not hold one back that is read while another is not.
        session.setLocalWindowSize(Math.min(2_147_483_647, options.windowBytes * 16))
        resolve(this)
      })
    })
    this.ready.catch(() => undefined)
    if (socket instanceof TLSSocket) {
      socket.once('secureConnect', () => {
        if (socket.alpnProtocol !== 'h2')
          this.destroy(
            new ServiceError('protocol', `${address} speaks TLS and not HTTP/2; is it a gRPC server?`),
          )
      })
    }
  }

  /** Whether new calls may go here. */
  get usable(): boolean {
    return this.#open && !this.#leaving && !this.#session.closed && !this.#session.destroyed
  }

  /** Whether the server takes no other call at the moment. */
  get full(): boolean {
    return this.usable && this.#streams >= (this.#session.remoteSettings?.maxConcurrentStreams ?? Infinity)
  }

  /** @param again Called when there may be room, or never will be. @returns ends the wait. */
  wait(again: () => void): () => void {
    this.#waiting.add(again)
    return () => this.#waiting.delete(again)
  }

  /** Why it is lost; `undefined` while it is not. */
  get lost(): ServiceError | undefined {
    return this.#lost ?? (this.#session.destroyed ? lostError(this.address, undefined) : undefined)
  }

  /** The largest header list that may be sent. */
  get maxHeaderListBytes(): number {
    const asked = this.#session.remoteSettings?.maxHeaderListSize ?? maxHeaderListBytes
    // Room for what HTTP/2 itself adds: the address and the scheme.
    return Math.min(asked - 1024, maxHeaderListBytes)
  }

  get scheme(): string {
    return this.#session.encrypted ? 'https' : 'http'
  }

  /** @throws `unavailable` where the connection has ended meanwhile. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    let stream: ClientHttp2Stream
    try {
      stream = this.#session.request(headers, { endStream: false })
    } catch (error) {
      throw this.#lost ?? lostError(this.address, error)
    }
    this.#streams++
    stream.once('close', () => {
      this.#streams--
      this.#idleSince = this.#aliveAt = performance.now()
      this.#admit()
      // The session ends by itself now; the peer need not follow.
      if (this.#leaving && this.#streams === 0) this.#farewell.begin()
    })
    return stream
  }

  /** Ends it where it was idle for long, and asks for a sign of life where calls wait. */
  tick(now: number): void {
    const { idleMs, pingIntervalMs, pingTimeoutMs } = this.#options
    if (this.#session.destroyed) this.#farewell.begin()
    if (!this.#open || this.#session.destroyed) return
    if (this.#streams === 0) {
      if (now - this.#idleSince >= idleMs) this.#end()
    } else if (this.#pingedAt !== undefined) {
      if (now - this.#pingedAt >= pingTimeoutMs)
        this.destroy(
          new ServiceError('unavailable', `${this.address} gave no sign of life for ${pingTimeoutMs} ms`),
        )
    } else if (pingIntervalMs > 0 && now - this.#aliveAt >= pingIntervalMs) {
      this.#pingedAt = now
      askForLife(this.#session, () => {
        this.#pingedAt = undefined
        this.#aliveAt = performance.now()
      })
    }
  }

  /** Ends it now; calls on it fail with `error`. */
  destroy(error: ServiceError): void {
    this.#lose(error)
    // Not the session: nghttp2 1.61, of Node 20, fails an assertion and ends the process where what a peer has
    // sent is still to be read after the session was ended. The session follows the socket.
    this.#socket.destroy()
  }

  #end(): void {
    this.#leave()
    this.#session.close()
  }

  #lose(cause: unknown): void {
    if (!this.#lost) {
      this.#lost = this.#open ? lostError(this.address, cause) : dialError(this.address, cause)
      if (!this.#open) this.#failed(this.#lost)
    }
    this.#leave()
  }

  #leave(): void {
    if (this.#leaving) return
    this.#leaving = true
    this.#unusable()
    if (this.#streams === 0) this.#farewell.begin()
    this.#admit()
  }

  #admit(): void {
    for (const again of this.#waiting) {
      if (this.full) return
      this.#waiting.delete(again)
      again()
    }
  }
}

function authority(address: string): string {
  return address.startsWith('unix:') ? 'localhost' : address
}
