import { ServiceError } from '@micrograft/contracts'

/** What to do about a certificate that is not in order, by Node's code. */
const certificateErrors: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; are the clocks right?',
  CERT_REVOKED: 'its certificate was revoked; renew it',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; give that as tls.ca to believe it',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another host; dial that, or name it as tls.servername',
  INVALID_PURPOSE: 'its certificate is not for servers; use another',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an authority that is not known here; give that as tls.ca',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is of an authority that is not known here; give that as tls.ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is of an authority that is not known here; give that as tls.ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is of an authority that is not known here; give that as tls.ca',
}

/**
 * What TLS has against `peer`, as an error with a code; `undefined` where it is not about TLS.
 *
 * A peer that is not believed is `unavailable`: another node may be in order. A peer that does not
 * believe this side is `unauthenticated`: it would not on another try either.
 */
export function tlsError(peer: string, cause: unknown): ServiceError | undefined {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (Object.hasOwn(certificateErrors, code)) {
    return new ServiceError('unavailable', `${peer} is not who it should be: ${certificateErrors[code]}`, {
      cause,
    })
  }
  if (/^ERR_SSL_.*ALERT_(\w*CERTIFICATE|UNKNOWN_CA)/.test(code)) {
    return new ServiceError(
      'unauthenticated',
      `${peer} does not take this side's certificate; give one that it believes as tls.cert and tls.key`,
      { cause },
    )
  }
  if (code.includes('ALERT_HANDSHAKE_FAILURE')) {
    const why = 'no cipher that both know, or it requires a certificate, which is tls.cert'
    return new ServiceError('unavailable', `${peer} and this side do not agree on TLS: ${why}`, { cause })
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return new ServiceError(
      'unavailable',
      `${peer} and this side do not agree on TLS (${code}); is it open to TLS?`,
      {
        cause,
      },
    )
  }
  return undefined
}
