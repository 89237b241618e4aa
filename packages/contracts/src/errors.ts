/** What one code means. */
export interface ErrorCodeEntry {
  /** The number on the wire, as HTTP has it where HTTP has it; no two codes share one. */
  readonly status: number
  /** Go-micro's text for the number. */
  readonly text: string
  /** Whether the same call may succeed on another node or a moment later, and did nothing yet. */
  readonly retryable: boolean
  readonly meaning: string
}

/** What an error is about; `errorCodes` says what each means. */
export type ErrorCode =
  | 'bad-request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'timeout'
  | 'conflict'
  | 'closed'
  | 'too-large'
  | 'unsupported-content'
  | 'invalid-option'
  | 'overloaded'
  | 'canceled'
  | 'internal'
  | 'unsupported'
  | 'protocol'
  | 'unavailable'

/** The closed table of codes. Codes are API: they do not change, and a message may. */
export const errorCodes: Readonly<Record<ErrorCode, ErrorCodeEntry>> = {
  'bad-request': {
    status: 400,
    text: 'Bad Request',
    retryable: false,
    meaning: 'the request is not what the endpoint takes',
  },
  unauthenticated: {
    status: 401,
    text: 'Unauthorized',
    retryable: false,
    meaning: 'the caller is not known',
  },
  forbidden: { status: 403, text: 'Forbidden', retryable: false, meaning: 'the caller may not do this' },
  'not-found': {
    status: 404,
    text: 'Not Found',
    retryable: false,
    meaning: 'there is no such service, endpoint, key or node',
  },
  timeout: {
    status: 408,
    text: 'Request Timeout',
    retryable: true,
    meaning: 'no answer came within the deadline; the work may have been done',
  },
  conflict: {
    status: 409,
    text: 'Conflict',
    retryable: false,
    meaning: 'it is there already, or was changed meanwhile',
  },
  closed: { status: 410, text: 'Gone', retryable: false, meaning: 'the component was disposed' },
  'too-large': {
    status: 413,
    text: 'Request Entity Too Large',
    retryable: false,
    meaning: 'a size is above its limit',
  },
  'unsupported-content': {
    status: 415,
    text: 'Unsupported Media Type',
    retryable: false,
    meaning: 'no codec for the content type',
  },
  'invalid-option': {
    status: 422,
    text: 'Unprocessable Entity',
    retryable: false,
    meaning: 'an option or flag is unknown or has a value that it cannot have',
  },
  overloaded: {
    status: 429,
    text: 'Too Many Requests',
    retryable: true,
    meaning: 'a limit of calls, connections or rate was reached',
  },
  canceled: { status: 499, text: 'Client Closed Request', retryable: false, meaning: 'the caller gave up' },
  internal: {
    status: 500,
    text: 'Internal Server Error',
    retryable: false,
    meaning: 'the handler failed in a way it did not foresee',
  },
  unsupported: {
    status: 501,
    text: 'Not Implemented',
    retryable: false,
    meaning: 'this implementation cannot do it; see its capabilities',
  },
  protocol: {
    status: 502,
    text: 'Bad Gateway',
    retryable: false,
    meaning: 'the peer sent what its protocol does not allow',
  },
  unavailable: {
    status: 503,
    text: 'Service Unavailable',
    retryable: true,
    meaning: 'out of reach: refused, reset, no node, server lost',
  },
}

/** An error as it crosses the wire: go-micro's `errors.Error`. */
export interface WireError {
  /** Who failed, e.g. `greeter` or `micrograft.client`. */
  readonly id: string
  readonly code: number
  readonly detail: string
  readonly status: string
}

export interface ServiceErrorDetails {
  /** Who failed. @default `micrograft` */
  readonly id?: string | undefined
  /** What was thrown underneath. It never crosses the wire. */
  readonly cause?: unknown
}

const brand = Symbol.for('micrograft.ServiceError')
const byStatus = new Map<number, ErrorCode>(
  Object.entries(errorCodes).map(([code, { status }]) => [status, code as ErrorCode]),
)

/**
 * What every component rejects with. Test `error.code`. `instanceof` also holds for an error made
 * by another copy of this package, as a plugin may carry one.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ErrorCode
  readonly id: string

  /**
   * @param code One that the table has not, which only untyped code can give, becomes `internal`.
   * @param message What failed, on what, and the next step; no secrets. It crosses the wire as `detail`.
   */
  constructor(code: ErrorCode, message: string, { id = 'micrograft', cause }: ServiceErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = Object.hasOwn(errorCodes, code) ? code : 'internal'
    this.id = id
    Object.defineProperty(this, brand, { value: true })
  }

  /** Whether the same call may succeed on another node or a moment later. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  toWire(): WireError {
    const { status, text } = errorCodes[this.code]
    return { id: this.id, code: status, detail: this.message, status: text }
  }

  /**
   * The error that a peer sent. A number outside the table becomes the code that stands for its
   * class: below 400 or above 499 `internal`, else `bad-request`.
   */
  static fromWire({ id, code, detail }: WireError): ServiceError {
    const known = byStatus.get(code) ?? (code >= 400 && code < 500 ? 'bad-request' : 'internal')
    return new ServiceError(known, detail, { id })
  }

  /** `thrown` as it is where it is one of these, else one with `code` caused by it. */
  static from(thrown: unknown, code: ErrorCode = 'internal', id?: string): ServiceError {
    if (thrown instanceof ServiceError) return thrown
    return new ServiceError(code, messageOf(thrown), { id, cause: thrown })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** Anything can be thrown: an object without a prototype has no text, and a getter can throw in its turn. */
function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message || thrown.name : thrown)
  } catch {
    return 'what was thrown cannot be shown'
  }
}
