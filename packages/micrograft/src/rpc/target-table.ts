import { protocolError } from '../transport/protocol-error.js'
import { Target, type CallTarget } from './frame.js'
import type { FrameReader } from './frame-reader.js'
import type { WireTarget } from './frame-writer.js'

/** The targets that one connection has sent: each is written out once and is a number from then on. */
export class SentTargets {
  readonly #byEndpoint = new Map<string, WireTarget[]>()
  readonly #maxTargets: number
  #count = 0

  constructor(maxTargets: number) {
    this.#maxTargets = maxTargets
  }

  /** How `target` goes out now; `sent` must be told of it once it has. */
  find(target: CallTarget): WireTarget {
    const { service, contentType } = target
    for (const known of this.#byEndpoint.get(target.endpoint) ?? none) {
      if (known.target.service === service && known.target.contentType === contentType) return known
    }
    return { target, reference: this.#count < this.#maxTargets ? Target.remembered : Target.literal }
  }

  sent({ target, reference }: WireTarget): void {
    if (reference !== Target.remembered) return
    const { service, endpoint, contentType } = target
    const known = { target: { service, endpoint, contentType }, reference: Target.first + this.#count++ }
    const others = this.#byEndpoint.get(endpoint)
    if (others) others.push(known)
    else this.#byEndpoint.set(endpoint, [known])
  }
}

const none: readonly WireTarget[] = []

/** The targets that the other side of one connection has sent. */
export class ReceivedTargets {
  readonly #targets: CallTarget[] = []
  readonly #maxTargets: number

  constructor(maxTargets: number) {
    this.#maxTargets = maxTargets
  }

  /** @throws `protocol` for a number that was not given, or more targets than are remembered. */
  read(reader: FrameReader): CallTarget {
    const reference = reader.varint()
    const known = this.#targets[reference - Target.first]
    if (known) return known
    if (reference >= Target.first)
      throw protocolError(`a call names the target ${reference}, which was not sent`)
    const target = reader.target()
    if (reference === Target.literal) return target
    if (this.#targets.length >= this.#maxTargets) {
      throw protocolError(`more than ${this.#maxTargets} targets are to be remembered`)
    }
    this.#targets.push(target)
    return target
  }
}
