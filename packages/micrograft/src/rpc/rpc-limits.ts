import { ServiceError } from '@micrograft/contracts'
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

/** @throws `invalid-option` for a size that cannot be. */
export function checkRpcLimits(what: string, limits: typeof rpcLimits): void {
  for (const name of Object.keys(rpcLimits) as (keyof typeof rpcLimits)[]) {
    const value = limits[name]
    if (!Number.isInteger(value) || value < 1 || value > maxVarint) {
      throw new ServiceError('invalid-option', `${name} of ${what} is no whole number from 1 to ${maxVarint}`)
    }
  }
}
