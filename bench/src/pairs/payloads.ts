import type { Payload, PayloadItem } from './adapter.js'

/** Counts stay at seven digits, so that every message has the same length. */
export const firstNumber = 1_000_000

/** A value whose JSON has just so many bytes: a small record, or a list of them. */
export function payloadOf(bytes: number): Payload {
  const items: PayloadItem[] = []
  const value = (text: string): Payload => ({
    n: firstNumber,
    name: 'John Smith',
    text,
    ...(items.length > 0 ? { items } : {}),
  })
  let room = bytes < 1000 ? 0 : bytes - 200
  for (let id = 1; room > 0; id++) {
    const item = { id, name: `item number ${id}`, price: id + 0.95, text: 'of the kind that is sold most' }
    items.push(item)
    room -= JSON.stringify(item).length + 1
  }
  const missing = bytes - JSON.stringify(value('')).length
  if (missing < 0) throw new Error(`no payload has ${bytes} bytes`)
  return value('x'.repeat(missing))
}

/** Throws where what came back is not what was sent. */
export function checkEcho(sent: Payload, came: Payload): void {
  if (
    came.n !== sent.n ||
    came.text.length !== sent.text.length ||
    (came.items ?? []).length !== (sent.items ?? []).length
  )
    throw new Error(`${sent.n} was answered with ${JSON.stringify(came)?.slice(0, 200)}`)
}
