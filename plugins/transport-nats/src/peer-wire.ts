import { ServiceError, type Message } from '@micrograft/contracts'
import {
  decodeContent,
  decodeFrame,
  encodeContent,
  encodeFrame,
  frameHeadBytes,
  kinds,
  numberFrame,
} from './frames.js'
import { decodeGoMessage, encodeGoMessage } from './go-message.js'

/** What came: a message, or a word about the connection itself. */
export type Heard =
  | { readonly kind: 'message'; readonly message: Message; readonly bytes: number }
  | { readonly kind: 'part'; readonly bytes: number }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'ping' | 'end' }
  | { readonly kind: 'reset'; readonly reason: string }

/** How messages are written to one peer, and read. */
export interface PeerWire {
  /** Whether the peer knows more than messages: room, pings and an end. */
  readonly controls: boolean
  /** @throws `too-large` */
  encode(message: Message): readonly Buffer[]
  control(kind: 'credit' | 'ping' | 'end' | 'reset', content?: Uint8Array): Buffer
  /** Makes what was encoded the next that is sent. */
  stamp(frame: Buffer): void
  /** @throws `protocol`, `unavailable` where something was lost before it. */
  decode(data: Uint8Array): Heard
}

/** What a piece of a message costs at least, in bytes. */
const leastBytes = 256

/** Between two of Micrograft. @param pieceBytes Largest content of one NATS message. */
export function peerWire(pieceBytes: number, maxMessageBytes: number): PeerWire {
  let sent = 0
  let heard = 0
  let parts: Buffer[] = []
  let partBytes = 0
  // JSON may write a header six times as long as it is; where it does, it says so here and not at the peer.
  const maxContentBytes = maxMessageBytes * 6 + 4096
  return {
    controls: true,
    encode(message) {
      const content = encodeContent(message)
      const frames: Buffer[] = []
      let at = 0
      for (; content.length - at > pieceBytes; at += pieceBytes) {
        frames.push(encodeFrame(kinds.part, content.subarray(at, at + pieceBytes)))
      }
      frames.push(encodeFrame(kinds.message, content.subarray(at)))
      return frames
    },
    stamp: (frame) => numberFrame(frame, sent++),
    control: (kind, content) => encodeFrame(kinds[kind], content),
    decode(data) {
      const { kind, number, content } = decodeFrame(data)
      if (number !== heard >>> 0) throw new ServiceError('unavailable', 'messages of the peer were lost')
      heard++
      const bytes = frameHeadBytes + content.length
      switch (kind) {
        case kinds.part:
        case kinds.message: {
          partBytes += Math.max(content.length, leastBytes)
          if (partBytes > maxContentBytes)
            throw new ServiceError('protocol', 'the peer sent a message above the limit')
          if (kind === kinds.part) {
            parts.push(content)
            return { kind: 'part', bytes }
          }
          const message = decodeContent(parts.length === 0 ? content : Buffer.concat([...parts, content]))
          parts = []
          partBytes = 0
          return { kind: 'message', message, bytes }
        }
        case kinds.credit:
          if (content.length !== 4)
            throw new ServiceError('protocol', 'the peer gave room without saying how much')
          return { kind: 'credit', bytes: content.readUInt32BE(0) }
        case kinds.ping:
          return { kind: 'ping' }
        case kinds.end:
          return { kind: 'end' }
        case kinds.reset:
          return { kind: 'reset', reason: content.toString('utf8', 0, 1000) }
        default:
          throw new ServiceError('protocol', `the peer sent a frame of an unknown kind, ${kind}`)
      }
    },
  }
}

/** To and from a peer of go-micro, which knows messages and nothing else. */
export function goWire(maxBytes: number): PeerWire {
  return {
    controls: false,
    encode(message) {
      const data = encodeGoMessage(message)
      if (data.length > maxBytes) {
        throw new ServiceError(
          'too-large',
          `a message of ${data.length} bytes is above the server’s max_payload of ${maxBytes}, and go-micro takes no parts`,
        )
      }
      return [data]
    },
    control() {
      throw new Error('go-micro knows messages alone')
    },
    stamp: () => undefined,
    decode: (data) => ({ kind: 'message', message: decodeGoMessage(data), bytes: data.byteLength }),
  }
}
