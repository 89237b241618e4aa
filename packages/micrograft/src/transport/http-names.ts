import { ServiceError } from '@micrograft/contracts'

/**
 * Header fields that belong to one HTTP connection and not to a message: they are neither handed over
 * nor taken from one (go-micro's `http.Request.Write` leaves them out likewise).
 */
export const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** RFC 9110 §5.6.2. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)
}

const most = 1000

/** Names as HTTP/1.1 peers write them: `micro-service` is `Micro-Service`, as Go's `textproto` has it. */
export class CanonicalNames {
  readonly #known = new Map<string, string>()

  /** The field name for `name`, or nothing where the field is not the message's. @throws `bad-request` */
  of(name: string): string {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const canonical = canonicalName(name)
    // Names may be a peer's: they must not pile up.
    if (this.#known.size < most) this.#known.set(name, canonical)
    return canonical
  }
}

function canonicalName(name: string): string {
  if (!isToken(name) || name === '__proto__') {
    throw new ServiceError(
      'bad-request',
      `${JSON.stringify(name.slice(0, 100))} cannot name a header over HTTP; use a-z, 0-9, "-", "_" and "."`,
    )
  }
  const lower = name.toLowerCase()
  if (connectionFields.has(lower)) return ''
  return lower.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase())
}
