import { ServiceError, type ServerStream } from '@micrograft/contracts'
import type { MessageQueue } from './message-queue.js'
import type { ServerCall } from './server-call.js'

/** A stream as its handler holds it. */
export function serverStream(call: ServerCall, queue: MessageQueue, maxMessageBytes: number): ServerStream {
  return {
    messages: queue,
    async send(body) {
      if (body.length > maxMessageBytes) {
        throw new ServiceError(
          'too-large',
          `a message of ${body.length} bytes is above the limit of ${maxMessageBytes}`,
        )
      }
      await call.send(body)
    },
  }
}
