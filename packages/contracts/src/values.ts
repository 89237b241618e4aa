/** The last parameter of every method that may take a while. */
export interface CallOptions {
  /**
   * Gives the work up: the method rejects with the signal's `reason`, at once and also where it was
   * aborted before the call. What the abort leaves undone, the method says.
   */
  readonly signal?: AbortSignal | undefined
}

/**
 * Text by name that travels with a call or a message, there and back. Names are lower case,
 * `[a-z0-9._-]`, at most 128 characters; values are any text without line ends or NUL, at most
 * 8,192 characters; at most 64 entries.
 */
export type Metadata = Readonly<Record<string, string>>

/** A callback that is told why something ended; `undefined` where it ended as asked. */
export type Ended = (error: Error | undefined) => void
