import { createHash } from 'node:crypto'
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
  if (queue === undefined || /^[A-Za-z0-9._-]{1,128}$/.test(queue)) return
  throw new ServiceError(
    'bad-request',
    `${JSON.stringify(String(queue).slice(0, 64))} is no queue; use 1 to 128 letters, digits, ".", "_" and "-"`,
  )
}

/** @throws `invalid-option` unless it is a whole number that AMQP's prefetch can be. */
export function requireConcurrency(concurrency: number): void {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= 65_535) return
  throw new ServiceError(
    'invalid-option',
    `concurrency is ${String(concurrency)}; give a whole number from 1 to 65535`,
  )
}

/**
 * The server's queue of a queue name on a topic. One each: two topics with one queue name have
 * handlers of their own. Names have at most 255 bytes.
 */
export function queueName(exchange: string, queue: string, topic: string): string {
  const name = `${exchange}/${queue}/${topic}`
  if (name.length <= 255) return name
  return `${exchange}/${queue}/${createHash('sha256').update(topic).digest('base64url')}`
}
