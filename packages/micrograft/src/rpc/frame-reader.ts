import { ServiceError, type Metadata } from '@micrograft/contracts'
import { protocolError } from '../transport/protocol-error.js'
import { ByteReader } from '../transport/varint.js'
import { FrameType, magic, maxDetailBytes, maxNameBytes, type CallTarget, type Hello } from './frame.js'
import { readMetadata } from './metadata.js'

const carriers: ReadonlySet<number | undefined> = new Set([
  FrameType.call,
  FrameType.reply,
  FrameType.open,
  FrameType.data,
])

/**
 * Takes one frame after another apart: `reset`, `byte` for the type, `varint` for the slot, then what
 * the type has, in the order of `docs/wire.md`. Everything throws `protocol`.
 */
export class FrameReader extends ByteReader {
  /** Holds that a frame that carries something has at most `maxBytes`; what only tells has limits of its own. */
  limit(maxBytes: number): void {
    const size = this.end - this.offset
    if (size <= maxBytes || !carriers.has(this.bytes[this.offset])) return
    throw protocolError(`a frame of ${size} bytes came, at most ${maxBytes} may be`)
  }

  hello(): Hello {
    if (this.end - this.offset < 6 || this.bytes.readUInt32BE(this.offset) !== magic) {
      throw protocolError('the peer does not speak rpc')
    }
    this.offset += 4
    const hello = {
      lowest: this.byte(),
      highest: this.byte(),
      maxFrameBytes: this.varint(),
      maxCalls: this.varint(),
      maxTargets: this.varint(),
      windowBytes: this.varint(),
      windowMessages: this.varint(),
    }
    if (hello.windowBytes === 0 || hello.windowMessages === 0) throw protocolError('a hello leaves no window')
    return hello
  }

  target(): CallTarget {
    return {
      service: this.text(maxNameBytes, 'a service'),
      endpoint: this.text(maxNameBytes, 'an endpoint'),
      contentType: this.contentType(),
    }
  }

  contentType(): string {
    return this.text(maxNameBytes, 'a content type')
  }

  metadata(): Metadata {
    return readMetadata(this)
  }

  /** What an error frame says. */
  error(): ServiceError {
    const code = this.varint()
    const id = this.text(maxNameBytes, 'an error id')
    const detail = this.text(maxDetailBytes, 'an error')
    const status = this.text(maxNameBytes, 'an error status')
    this.done()
    return ServiceError.fromWire({ id, code, detail, status })
  }

  /** What a cancel or go-away frame says. */
  reason(): ServiceError {
    const code = this.varint()
    const detail = this.text(maxDetailBytes, 'a reason')
    this.done()
    return ServiceError.fromWire({ id: 'micrograft', code, detail, status: '' })
  }

  /** Holds that nothing is left over. */
  done(): void {
    if (this.offset !== this.end) throw protocolError('a frame has bytes left over')
  }
}
