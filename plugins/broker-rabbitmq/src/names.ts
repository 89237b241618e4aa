import { createHash } from 'node:crypto'
import { aCount, requireNumber } from '@micrograft/contracts'

/** @throws `invalid-option` unless it is a whole number that AMQP's prefetch can be. */
export function requireConcurrency(concurrency: number): void {
  requireNumber('concurrency', concurrency, { ...aCount, max: 65_535 })
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
