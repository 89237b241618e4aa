import { ServiceError } from '@micrograft/contracts'

/** @throws `bad-request` unless `topic` is of letters, digits, `.`, `_`, `-` and `/`. */
export function requireTopic(topic: string): void {
  if (typeof topic === 'string' && /^[A-Za-z0-9._/-]{1,255}$/.test(topic)) return
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(topic).slice(0, 64))} is no topic; use 1 to 255 letters, digits, ".", "_", "-" and "/"`,
  )
}

/** @throws `bad-request` unless `queue` may name a queue: as a topic, without `/`. */
export function requireQueue(queue: string | undefined): void {
  if (queue === undefined || (typeof queue === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(queue))) return
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(queue).slice(0, 64))} is no queue; use 1 to 128 letters, digits, ".", "_" and "-"`,
  )
}
