import type { MqttClient } from 'mqtt'

interface Received {
  /** The connection that it came on last. */
  stream: MqttClient['stream']
  handled: boolean
}

/**
 * Answers the server in the order in which its messages came (MQTT 5 §4.6), each once it is handled,
 * and knows a message that the server sends again on another connection of the session: what was
 * handled meanwhile is answered and not handled twice.
 *
 * The library's own way, `customHandleAcks`, would hold up all that comes behind a message, answers to
 * pings included. So the library is told not to answer (see `handleMessage`), and the four bytes of a
 * PUBACK are written here.
 */
export class Acknowledgements {
  readonly #client: MqttClient
  /** By packet id, in the order in which they came. */
  readonly #received = new Map<number, Received>()
  /** The connection whose answers wait for the end of the turn. */
  #held: MqttClient['stream'] | undefined

  constructor(client: MqttClient) {
    this.#client = client
    client.on('connect', ({ sessionPresent }) => {
      // The server has forgotten what it sent: ids begin anew.
      if (!sessionPresent) this.#received.clear()
    })
  }

  /**
   * Notes a message.
   *
   * @param dup Whether the server says that it has sent it before (MQTT 5 §3.3.1.1). Where it does not, its
   *   number is known from a message that the server has forgotten, as one may that was killed.
   * @returns what to call once it is handled, or `undefined` where it is known already.
   */
  receive(id: number, dup: boolean): (() => void) | undefined {
    const { stream } = this.#client
    const known = this.#received.get(id)
    const again = dup && known !== undefined && known.stream !== stream
    const received: Received = again ? known : { stream, handled: false }
    received.stream = stream
    this.#received.delete(id)
    this.#received.set(id, received)
    if (again) {
      this.#answer()
      return undefined
    }
    return () => {
      received.handled = true
      this.#answer()
    }
  }

  #answer(): void {
    const { stream, connected } = this.#client
    if (!connected) return
    for (const [id, received] of this.#received) {
      // Of an earlier connection: the server will send it again.
      if (received.stream !== stream) continue
      if (!received.handled) return
      this.#received.delete(id)
      this.#hold(stream)
      stream.write(Buffer.from([0x40, 2, id >> 8, id & 0xff]))
    }
  }

  /** What is answered in one turn leaves in one write. */
  #hold(stream: MqttClient['stream']): void {
    if (this.#held === stream) return
    this.#held = stream
    stream.cork()
    setImmediate(() => {
      stream.uncork()
      if (this.#held === stream) this.#held = undefined
    })
  }
}
