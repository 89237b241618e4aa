/** Defaults of `TransportLimits`. */
export const transportLimits = {
  maxMessageBytes: 4_194_304,
  maxQueuedBytes: 16_777_216,
  maxConnections: 10_000,
} as const

/** Queued bytes from which on `send` says that there is no room. */
export const highWaterBytes = 262_144

/** How long a peer has to take what is queued, and to end its side, once either side has ended. */
export const closeTimeoutMs = 5000

/** Most entries in the header of one message. */
export const maxHeaderEntries = 256

export interface ConnectionLimits {
  readonly maxMessageBytes: number
  readonly maxQueuedBytes: number
}
