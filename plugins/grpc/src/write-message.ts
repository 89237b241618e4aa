import type { Http2Stream } from 'node:http2'
import { frameMessage } from './message-frame.js'

/**
 * Sends a message as one frame where that saves more than it copies, else as two that leave together.
 * @param sent Called when the peer makes room, with the error where it never does.
 * @returns whether there is room for more.
 */
export function writeMessage(
  stream: Http2Stream,
  body: Uint8Array,
  sent?: (error: Error | null | undefined) => void,
): boolean {
  const [head, rest] = frameMessage(body)
  if (!rest) return stream.write(head, sent)
  stream.cork()
  stream.write(head)
  const room = stream.write(rest, sent)
  process.nextTick(() => stream.uncork())
  return room
}
