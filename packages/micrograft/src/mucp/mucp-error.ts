import { ServiceError, type ErrorCode, type WireError } from '@micrograft/contracts'

/** Longest error that is sent or taken over, in characters. */
const maxDetail = 4096

/** What servers of go-micro answer themselves is plain text. */
const plainTexts: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^rpc: can't find (service|method)|^unknown (service|method)/, 'not-found'],
  [/ill-formed|cannot decode request|^unable to decode/i, 'bad-request'],
  [/^unsupported content-type/i, 'unsupported-content'],
  [/^context deadline exceeded$/, 'timeout'],
  [/^context canceled$/, 'canceled'],
]

/** What would break a header, or what Go's `encoding/json` escapes: so that the bytes are Go's. */
// eslint-disable-next-line no-control-regex -- DEL is one of them
const escaped = /[<>&\u2028\u2029\x7f]/g

/** The text of `Micro-Error`: go-micro's `errors.Error` as JSON, without what is empty. */
export function writeError(error: ServiceError): string {
  const { id, code, detail, status } = error.toWire()
  const fields = {
    id: id === '' ? undefined : id.slice(0, maxDetail),
    code,
    detail: detail === '' ? undefined : detail.slice(0, maxDetail),
    status,
  }
  return JSON.stringify(fields).replace(
    escaped,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * The error that a peer told: go-micro's JSON, or any text.
 * @param service Whose error a plain text is.
 */
export function readError(text: string, service: string): ServiceError {
  const { id, code, detail, status } = parse(text)
  const message = detail.slice(0, maxDetail)
  if (code !== 0) return ServiceError.fromWire({ id: id || service, code, detail: message || status, status })
  const known = plainTexts.find(([pattern]) => pattern.test(detail))?.[1] ?? 'internal'
  return new ServiceError(known, message, { id: id || service })
}

function parse(text: string): WireError {
  if (text.startsWith('{')) {
    try {
      const { id, code, detail, status } = JSON.parse(text) as Record<string, unknown>
      if (isText(id) && isText(detail) && isText(status) && (code === undefined || Number.isInteger(code)))
        return { id: id ?? '', code: (code as number) ?? 0, detail: detail ?? '', status: status ?? '' }
    } catch {
      // It is a text that begins so.
    }
  }
  return { id: '', code: 0, detail: text, status: '' }
}

function isText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
