import { ServiceError, type WireError } from '@micrograft/contracts'
import { codeOfStatus, statusOfWireCode } from './grpc-status.js'
import { readStatusDetails, writeStatusDetails } from './status-details.js'

/** It goes into headers three times, and peers limit those: a byte becomes up to 6, and Node takes 64 KiB in all. */
const maxDetailLength = 4096
const maxDetailBytes = 8192

/** What ends a call that failed, as headers. @param status Another gRPC status than the code's own. */
export function errorTrailers(error: ServiceError, status?: number): Record<string, string> {
  const wire = shortened(error.toWire())
  const code = status ?? statusOfWireCode(wire.code)
  const message = errorJson(wire)
  return {
    'grpc-status': String(code),
    'grpc-message': percentEncode(message),
    'grpc-status-details-bin': writeStatusDetails(code, message, wire),
  }
}

/**
 * The error that a status stands for; `undefined` where it is `OK`.
 * @param service Who failed, where the peer does not say.
 */
export function errorOfStatus(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  service: string,
): ServiceError | undefined {
  const status = String(headers['grpc-status'])
  if (status === '0') return undefined
  if (!/^\d{1,9}$/.test(status))
    return new ServiceError('protocol', `${service} ended the call with the status ${status}, which is none`)
  const message = percentDecode(String(headers['grpc-message'] ?? ''))
  const details = headers['grpc-status-details-bin']
  const error = (typeof details === 'string' ? readStatusDetails(details) : undefined) ?? parseJson(message)
  if (error) return ServiceError.fromWire(error)
  const code = codeOfStatus(Number(status), message)
  return new ServiceError(code, message || `${service} ended the call with status ${status}`, { id: service })
}

/** As Go's `encoding/json` writes `errors.Error`: empty fields are left out and `<`, `>`, `&` are escaped. */
function errorJson({ id, code, detail, status }: WireError): string {
  const json = JSON.stringify({
    id: id || undefined,
    code: code || undefined,
    detail: detail || undefined,
    status: status || undefined,
  })
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function parseJson(message: string): WireError | undefined {
  if (!message.startsWith('{')) return undefined
  try {
    const { id, code, detail, status } = JSON.parse(message) as Record<string, unknown>
    if (typeof code !== 'number' || !(code > 0)) return undefined
    return { id: text(id), code, detail: text(detail), status: text(status) }
  } catch {
    return undefined
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function shortened(wire: WireError): WireError {
  const { detail } = wire
  const bytes = Buffer.from(detail.slice(0, maxDetailLength))
  if (detail.length <= maxDetailLength && bytes.length <= maxDetailBytes) return wire
  // The last character may have been cut in two.
  return {
    ...wire,
    detail: `${bytes
      .subarray(0, maxDetailBytes)
      .toString()
      .replace(/\uFFFD$/, '')}…`,
  }
}

/** As gRPC over HTTP/2 has it: all bytes but printable ASCII, and `%`. */
export function percentEncode(value: string): string {
  if (/^[ -$&-~]*$/.test(value)) return value
  let encoded = ''
  for (const byte of Buffer.from(value)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** What is no encoding stays as it is. @param value As headers have it: a character for each byte. */
export function percentDecode(value: string): string {
  if (!/[%\x80-\xff]/.test(value)) return value
  const latin1 = value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(latin1, 'latin1').toString()
}
