import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** What etcd's gateway answers where it refuses; the members are those of all its releases. */
export interface EtcdRefusal {
  readonly error?: unknown
  readonly message?: unknown
  readonly code?: unknown
}

/** By code of gRPC, which etcd answers with (grpc/codes). */
const codes: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  1: ['unavailable', 'try again'],
  3: ['internal', 'is this an etcd of version 3.4 or later?'],
  4: ['timeout', 'is the server overloaded?'],
  5: ['not-found', 'try again'],
  7: ['forbidden', 'grant the user the prefix'],
  8: ['unavailable', 'give the server room: compact it, and disarm its alarm'],
  12: ['unsupported', 'use etcd 3.4 or later'],
  14: ['unavailable', 'is there a majority of members?'],
  16: ['unauthenticated', 'correct user and password'],
}

/** By what is in the message, where the code says too little. */
const messages: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/authentication failed|user name (is empty|not found)/, 'unauthenticated', 'correct user and password'],
  [/too large|larger than max/, 'too-large', 'say less in the record, or raise max-request-bytes'],
  [/authentication is not enabled/, 'invalid-option', 'leave user and password out'],
]

/** An answer of etcd that is none of success. */
export class EtcdFailure extends Error {
  readonly code: number

  constructor(message: string, code: number) {
    super(message)
    this.code = code
  }

  static from(answer: EtcdRefusal, status: number): EtcdFailure {
    const inner = typeof answer.error === 'object' && answer.error !== null ? answer.error : {}
    const { message, code, grpc_code } = inner as Record<string, unknown>
    const text = [message, answer.message, answer.error].find((each) => typeof each === 'string')
    const number = [grpc_code, code, answer.code].find((each) => typeof each === 'number')
    return new EtcdFailure(
      (text as string | undefined) ?? `status ${status}`,
      (number as number | undefined) ?? 2,
    )
  }

  /** Whether a new token may help. */
  get tokenIsOld(): boolean {
    return /invalid auth token|revision of auth store is old|auth: revision in header/.test(this.message)
  }

  /** Whether a new token may help a watch: etcd 3.4 calls one with an old token forbidden. */
  get tokenMayBeOld(): boolean {
    return this.tokenIsOld || this.message.includes('permission denied')
  }

  get leaseIsGone(): boolean {
    return this.message.includes('requested lease not found')
  }

  /** Whether another member may do better. */
  get elsewhere(): boolean {
    return this.code === 14 || this.code === 4 || this.code === 1
  }
}

/** What etcd, and the way there, fail with, as a `ServiceError`. */
export function etcdError(where: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const { message } = cause as Error
  if (cause instanceof EtcdFailure) {
    const what = `etcd at ${where} refuses: ${message}`
    const said = messages.find(([pattern]) => pattern.test(message))
    if (said) return new ServiceError(said[1], `${what}; ${said[2]}`, { cause })
    const [code, step] = codes[cause.code] ?? ['internal', 'see its log']
    return new ServiceError(code, `${what}; ${step}`, { cause })
  }
  const { code } = cause as { code?: string }
  if (code === 'ETIMEDOUT')
    return new ServiceError('unavailable', `no answer of etcd at ${where} in time; is it running?`, { cause })
  return new ServiceError('unavailable', `cannot reach etcd at ${where}: ${message}; is it running?`, {
    cause,
  })
}

/** What answers says what etcd never does. */
export function noEtcd(cause?: unknown): ServiceError {
  return new ServiceError('protocol', 'what answers is no JSON gateway of etcd; correct the address', {
    cause,
  })
}
