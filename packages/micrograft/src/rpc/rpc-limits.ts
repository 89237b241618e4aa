import { requireLimits, requireNumber } from '@micrograft/contracts'
import { maxVarint } from '../transport/varint.js'

/** Sizes that a peer controls, on either side. */
export interface RpcLimits {
  /**
   * Largest frame that is taken, in bytes: a body with some tens of bytes around it. Peers are told
   * and send nothing above it; the transport's `maxMessageBytes` must not be lower.
   * @default 4_194_304 (4 MiB)
   */
  readonly maxFrameBytes?: number | undefined
  /** Most bytes that wait for one peer to read, besides what its transport queues. @default 67_108_864 (64 MiB) */
  readonly maxQueuedBytes?: number | undefined
  /** What a stream's peer may send before it was read, in bytes; one message more may come. @default 262_144 (256 KiB) */
  readonly windowBytes?: number | undefined
  /** The same in messages. @default 256 */
  readonly windowMessages?: number | undefined
}

export const rpcLimits = {
  maxFrameBytes: 4_194_304,
  maxQueuedBytes: 67_108_864,
  windowBytes: 262_144,
  windowMessages: 256,
}

/** @throws `invalid-option` for a size or count that cannot be, and a time that is none; one without end is. */
export function checkRpcOptions(what: string, options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (name.endsWith('Ms')) requireLimits(what, { [name]: value })
    else
      requireNumber(`${name} of ${what}`, value, {
        min: mayBeNone.has(name) ? 0 : 1,
        max: maxVarint,
        isWhole: true,
      })
  }
}

const mayBeNone: ReadonlySet<string> = new Set(['maxStreams', 'maxTargets'])
