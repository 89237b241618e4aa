import type { Broker } from '@micrograft/contracts'
import { Plugin, type NatsBrokerOptions } from '@micrograft/broker-nats'
import { componentContext } from '@micrograft/testing'

/** Makes a broker; one that is given up is given up by the test. */
export async function openBroker(options: NatsBrokerOptions): Promise<Broker> {
  return (Plugin.newFunc as unknown as (...args: unknown[]) => Promise<Broker>)(options, componentContext())
}

export function message(body: string): { header: Record<string, string>; body: Uint8Array } {
  return { header: { 'content-type': 'text/plain' }, body: new TextEncoder().encode(body) }
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
