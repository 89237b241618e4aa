/** The first byte of every frame. */
export const FrameType = {
  hello: 0x01,
  goAway: 0x02,
  ping: 0x03,
  pong: 0x04,
  call: 0x10,
  reply: 0x11,
  error: 0x12,
  cancel: 0x13,
  open: 0x20,
  data: 0x21,
  end: 0x22,
  window: 0x23,
} as const

/** `mrpc`: the first thing in a hello after its type. */
export const magic = 0x6d72_7063

/** Lowest and highest version of the protocol that is spoken here. */
export const lowestVersion = 1
export const highestVersion = 1

/** Most bytes in a service, an endpoint or a content type. */
export const maxNameBytes = 256

/** Most bytes of an error's or cancellation's text; more is cut off before it is sent. */
export const maxDetailBytes = 16_384

/** Metadata, as `Metadata` of the contracts has it. */
export const maxMetadataEntries = 64
export const maxMetadataNameBytes = 128
/** 8,192 characters at up to three bytes each. */
export const maxMetadataValueBytes = 24_576

/** How a target is written. From `firstTarget` on it is a number in the table. */
export const Target = { literal: 0, remembered: 1, first: 2 } as const

/** What a peer takes. */
export interface Hello {
  readonly lowest: number
  readonly highest: number
  /** Largest frame, in bytes. */
  readonly maxFrameBytes: number
  /** How many calls and streams may be open at a time, so that slots are below it; 0 from a client. */
  readonly maxCalls: number
  /** How many targets are remembered; 0 from a client. */
  readonly maxTargets: number
  /** What each stream may send before the first window frame. */
  readonly windowBytes: number
  readonly windowMessages: number
}

/** What a call is for. */
export interface CallTarget {
  readonly service: string
  readonly endpoint: string
  readonly contentType: string
}
