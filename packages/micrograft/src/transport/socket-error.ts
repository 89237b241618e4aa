import { ServiceError } from '@micrograft/contracts'
import { tlsError } from './tls-error.js'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Why a connection was lost. */
export function lostError(remote: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const aboutTls = tlsError(remote, cause)
  if (aboutTls) return aboutTls
  return new ServiceError('unavailable', `the connection to ${remote} was lost: ${reason(cause)}`, { cause })
}

export function dialError(address: string, cause: unknown): ServiceError {
  const aboutTls = tlsError(address, cause)
  if (aboutTls) return aboutTls
  return new ServiceError(
    'unavailable',
    `cannot reach ${address}: ${reason(cause)}; is the server running?`,
    {
      cause,
    },
  )
}

export function noTlsError(transport: string): ServiceError {
  return new ServiceError('unsupported', `the ${transport} transport has no TLS; the node asks for it`)
}

export function listenError(address: string, cause: unknown): ServiceError {
  const code = codeOf(cause)
  if (code === 'EADDRINUSE') {
    return new ServiceError(
      'conflict',
      `${address} is taken; stop what listens there or choose another address`,
      {
        cause,
      },
    )
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ServiceError('forbidden', `this user may not listen on ${address}; choose another address`, {
      cause,
    })
  }
  return new ServiceError('invalid-option', `cannot listen on ${address}: ${reason(cause)}`, { cause })
}

function reason(cause: unknown): string {
  switch (codeOf(cause)) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ECONNRESET':
      return 'reset by the peer'
    case 'EPIPE':
      return 'the peer has closed it'
    case 'ENOENT':
      return 'there is no such socket'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is not known'
    case 'EADDRNOTAVAIL':
      return 'the address is none of this machine'
    default:
      return cause instanceof Error ? cause.message : String(cause)
  }
}
