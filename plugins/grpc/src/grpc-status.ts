import type { ErrorCode } from '@micrograft/contracts'

/** The status codes of gRPC, by number. */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

/**
 * The gRPC status of an error, by its number on the wire. The first eleven are go-micro v2's; what that
 * leaves as `unknown` is told apart here for peers that read nothing else.
 */
const byWireCode: Readonly<Record<number, number>> = {
  200: grpcStatus.ok,
  400: grpcStatus.invalidArgument,
  401: grpcStatus.unauthenticated,
  403: grpcStatus.permissionDenied,
  404: grpcStatus.notFound,
  408: grpcStatus.deadlineExceeded,
  409: grpcStatus.alreadyExists,
  412: grpcStatus.failedPrecondition,
  500: grpcStatus.internal,
  501: grpcStatus.unimplemented,
  503: grpcStatus.unavailable,
  410: grpcStatus.failedPrecondition,
  413: grpcStatus.resourceExhausted,
  415: grpcStatus.invalidArgument,
  422: grpcStatus.invalidArgument,
  429: grpcStatus.resourceExhausted,
  499: grpcStatus.cancelled,
  502: grpcStatus.internal,
}

const byStatus: Readonly<Record<number, ErrorCode>> = {
  [grpcStatus.cancelled]: 'canceled',
  [grpcStatus.unknown]: 'internal',
  [grpcStatus.invalidArgument]: 'bad-request',
  [grpcStatus.deadlineExceeded]: 'timeout',
  [grpcStatus.notFound]: 'not-found',
  [grpcStatus.alreadyExists]: 'conflict',
  [grpcStatus.permissionDenied]: 'forbidden',
  [grpcStatus.resourceExhausted]: 'overloaded',
  [grpcStatus.failedPrecondition]: 'conflict',
  [grpcStatus.aborted]: 'conflict',
  [grpcStatus.outOfRange]: 'bad-request',
  [grpcStatus.unimplemented]: 'unsupported',
  [grpcStatus.internal]: 'internal',
  [grpcStatus.unavailable]: 'unavailable',
  [grpcStatus.dataLoss]: 'internal',
  [grpcStatus.unauthenticated]: 'unauthenticated',
}

export function statusOfWireCode(code: number): number {
  return byWireCode[code] ?? grpcStatus.unknown
}

/**
 * The code that stands for the status of a peer that says no more than that.
 *
 * @param message Every implementation reports a message above its limit as `RESOURCE_EXHAUSTED` too, which
 *   only the text tells from an overload.
 */
export function codeOfStatus(status: number, message: string): ErrorCode {
  if (status === grpcStatus.resourceExhausted && /larger than|exceeds? (?:the )?max/i.test(message))
    return 'too-large'
  return byStatus[status] ?? 'internal'
}
