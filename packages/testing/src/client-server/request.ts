import type { ClientRequest, UnaryRequest } from '@micrograft/contracts'
import { bytes, text } from '../bytes.js'

export function request(
  endpoint: string,
  body: string | Uint8Array = '',
  more: Partial<ClientRequest> = {},
): UnaryRequest {
  return {
    service: 'echo',
    endpoint,
    contentType: 'application/octet-stream',
    metadata: {},
    timeoutMs: 10_000,
    body: typeof body === 'string' ? bytes(body) : body,
    ...more,
  }
}

export async function collect(messages: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = []
  for await (const each of messages) all.push(text(each))
  return all
}
