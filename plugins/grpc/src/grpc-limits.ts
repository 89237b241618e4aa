import { aCount, ServiceError, type NumberRange } from '@micrograft/contracts'

/** Sizes that a peer controls. */
export interface GrpcLimits {
  /** Largest message in either direction, in bytes. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Largest header list that is taken from a peer, in bytes as HTTP/2 counts them. @default 131_072 (128 KiB), and no more is sent */
  readonly maxMetadataBytes?: number | undefined
  /** How much of one stream a peer may send that was not read yet, in bytes. @default 262_144 (256 KiB) */
  readonly windowBytes?: number | undefined
}

export interface ResolvedLimits {
  readonly maxMessageBytes: number
  readonly maxMetadataBytes: number
  readonly windowBytes: number
}

/**
 * The largest header list that is sent, in bytes as HTTP/2 counts them: nghttp2 ends the connection, with
 * every call on it, where one comes in more than nine frames of 16 KiB.
 */
export const maxHeaderListBytes = 131_072

export const grpcLimits: ResolvedLimits = {
  maxMessageBytes: 4_194_304,
  maxMetadataBytes: maxHeaderListBytes,
  windowBytes: 262_144,
}

/**
 * For `maxSessionMemory` of `node:http2`, in megabytes: as good as none. Node counts what a reset stream had
 * not sent yet for as long as the connection lasts, and refuses every call on it above this; with its default
 * of 10 that was after ten calls of 1 MB (20.20, 24.21 and 26.10). The limits here take its place.
 */
export const maxSessionMemory = 1_000_000_000

/** What both sides limit alike; a frame that names a size takes no more, by RFC 9113 §6.5.2 and §6.9.1. */
export const limitRanges: Readonly<Record<keyof GrpcLimits, NumberRange>> = {
  maxMessageBytes: { ...aCount, max: 4_294_967_295 },
  maxMetadataBytes: { ...aCount, max: 4_294_967_295 },
  windowBytes: { ...aCount, max: 2_147_483_647 },
}

/** @throws `invalid-option` where one of the switches of `options` is given and is neither `true` nor `false`. */
export function checkSwitches(what: string, options: object, names: readonly string[]): void {
  const values = options as Readonly<Record<string, unknown>>
  for (const name of names) {
    const value = values[name]
    if (value !== undefined && typeof value !== 'boolean')
      throw new ServiceError(
        'invalid-option',
        `${name} of ${what} is ${JSON.stringify(value)}; give true or false`,
      )
  }
}
