import { ServiceError } from '@micrograft/contracts'

const pattern = /^[A-Za-z0-9._/-]{1,255}$/

/**
 * The subject of a topic, which is the topic itself, as go-micro has it: NATS takes a `/` as any other
 * letter. Where dots leave nothing between them, which no subject may have, a `=` stands there: no
 * topic has one.
 *
 * @throws `bad-request` unless `topic` is of letters, digits, `.`, `_`, `-` and `/`.
 */
export function subjectOf(topic: string, prefix: string): string {
  if (typeof topic !== 'string' || !pattern.test(topic)) {
    throw new ServiceError(
      'bad-request',
      `${JSON.stringify(String(topic).slice(0, 64))} is no topic; use 1 to 255 letters, digits, ".", "_", "-" and "/"`,
    )
  }
  const subject = topic
    .split('.')
    .map((token) => token || '=')
    .join('.')
  return prefix === '' ? subject : `${prefix}.${subject}`
}

/** @throws `bad-request` unless `queue` may name a queue: as a topic, without `/`. */
export function requireQueue(queue: string | undefined): void {
  if (queue === undefined || /^[A-Za-z0-9._-]{1,128}$/.test(queue)) return
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(queue).slice(0, 64))} is no queue; use 1 to 128 letters, digits, ".", "_" and "-"`,
  )
}

/** @throws `invalid-option` unless `prefix` is empty or tokens of a subject. */
export function requirePrefix(prefix: string): void {
  if (/^(?:[A-Za-z0-9_/-]+(?:\.[A-Za-z0-9_/-]+)*)?$/.test(prefix) && prefix.length <= 128) return
  throw new ServiceError(
    'invalid-option',
    `${JSON.stringify(prefix.slice(0, 64))} is no prefix; use letters, digits, "_", "-" and "/", with dots between`,
  )
}

/** Whether a subject is one of those that `pattern` stands for: `*` is one token, `>` all that follow. */
export function matches(subject: string, pattern: string): boolean {
  const tokens = subject.split('.')
  const wanted = pattern.split('.')
  for (const [at, each] of wanted.entries()) {
    if (each === '>') return tokens.length > at
    if (tokens[at] === undefined || (each !== '*' && each !== tokens[at])) return false
  }
  return tokens.length === wanted.length
}
