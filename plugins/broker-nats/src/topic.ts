import { ServiceError } from '@micrograft/contracts'
import { requireTopic } from '@micrograft/plugin-kit'

/**
 * The subject of a topic, which is the topic itself, as go-micro has it: NATS takes a `/` as any other
 * letter. Where dots leave nothing between them, which no subject may have, a `=` stands there: no
 * topic has one.
 *
 * @throws `bad-request` unless `topic` is of letters, digits, `.`, `_`, `-` and `/`.
 */
export function subjectOf(topic: string, prefix: string): string {
  requireTopic(topic)
  const subject = topic
    .split('.')
    .map((token) => token || '=')
    .join('.')
  return prefix === '' ? subject : `${prefix}.${subject}`
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
