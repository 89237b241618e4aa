import { constants } from 'node:http2'
import { ServiceError } from '@micrograft/contracts'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Why a node was not reached. */
export function dialError(address: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  if (codeOf(cause) === 'ERR_HTTP2_ERROR') {
    return new ServiceError('protocol', `${address} does not speak HTTP/2; is it a gRPC server?`, { cause })
  }
  return new ServiceError(
    'unavailable',
    `cannot reach ${address}: ${reason(cause)}; is the server running?`,
    { cause },
  )
}

/** Why a connection that was there is no more. */
export function lostError(address: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const code = codeOf(cause) === 'ERR_HTTP2_ERROR' ? 'protocol' : 'unavailable'
  return new ServiceError(code, `the connection to ${address} was lost: ${reason(cause)}`, { cause })
}

/** Why a stream was reset by the peer, as gRPC over HTTP/2 reads the codes. */
export function resetError(address: string, rstCode: number | undefined): ServiceError {
  switch (rstCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return new ServiceError('unavailable', `${address} takes no new calls on this connection`)
    case constants.NGHTTP2_CANCEL:
      return new ServiceError('canceled', `${address} canceled the call`)
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return new ServiceError('overloaded', `${address} asks for fewer or smaller calls`)
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return new ServiceError('forbidden', `${address} asks for a safer connection`)
    case constants.NGHTTP2_INTERNAL_ERROR:
      return new ServiceError('internal', `${address} failed and reset the call`)
    case constants.NGHTTP2_NO_ERROR:
      return new ServiceError('protocol', `${address} ended the call without a status`)
    default:
      return new ServiceError('protocol', `${address} reset the call with the code ${rstCode}`)
  }
}

/** What an answer by HTTP stands for that has no gRPC status. */
export function httpError(address: string, status: number | undefined, contentType: unknown): ServiceError {
  const message = `${address} answered with HTTP ${status} and ${JSON.stringify(contentType ?? 'no content type')}, not by gRPC`
  switch (status) {
    case 401:
      return new ServiceError('unauthenticated', message)
    case 403:
      return new ServiceError('forbidden', message)
    case 404:
      return new ServiceError('not-found', message)
    case 429:
      return new ServiceError('overloaded', message)
    case 502:
    case 503:
    case 504:
      return new ServiceError('unavailable', message)
    default:
      return new ServiceError('protocol', message)
  }
}

function reason(cause: unknown): string {
  switch (codeOf(cause)) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ECONNRESET':
      return 'reset by the peer'
    case 'EPIPE':
      return 'the peer has closed it'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is not known'
    default:
      if (cause instanceof Error) {
        // OpenSSL's text, without the places in its source.
        const { reason } = cause as { readonly reason?: unknown }
        return typeof reason === 'string' && reason !== '' ? reason : cause.message
      }
      return cause === undefined ? 'the peer has closed it' : String(cause)
  }
}
