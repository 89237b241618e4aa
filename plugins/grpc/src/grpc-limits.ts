import { ServiceError } from '@micrograft/contracts'

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

/** What a frame that names a size may be, by RFC 9113 §6.5.2 and §6.9.1. */
const largest: Readonly<Record<string, number>> = {
  maxMessageBytes: 4_294_967_295,
  maxMetadataBytes: 4_294_967_295,
  windowBytes: 2_147_483_647,
}

/** @throws `invalid-option` where one of the numbers of `options` is no whole number of `least` or more. */
export function checkNumbers(what: string, options: object, least: Readonly<Record<string, number>>): void {
  const values = options as Readonly<Record<string, unknown>>
  for (const [name, lowest] of Object.entries(least)) {
    const value = values[name]
    const most = largest[name] ?? Number.MAX_SAFE_INTEGER
    if (!Number.isInteger(value) || (value as number) < lowest || (value as number) > most) {
      throw new ServiceError(
        'invalid-option',
        `${name} of ${what} is ${String(value)}; give a whole number from ${lowest} to ${most}`,
      )
    }
  }
}
