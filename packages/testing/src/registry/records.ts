import type { Endpoint, ServiceRecord } from '@micrograft/contracts'

export const hello: Endpoint = {
  name: 'Say.Hello',
  request: { name: 'Request', type: 'Request', values: [{ name: 'name', type: 'string', values: [] }] },
  response: { name: 'Response', type: 'Response', values: [] },
  metadata: { stream: 'server' },
}

/** One node of `greeter`, or what `changes` make of it. */
export function record(id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  const node = { id, address: '127.0.0.1:4001', metadata: { protocol: 'rpc' } }
  return { name: 'greeter', version: '1.0.0', metadata: {}, endpoints: [hello], nodes: [node], ...changes }
}

export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

export function ids(records: readonly ServiceRecord[]): string[] {
  return records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()
}
