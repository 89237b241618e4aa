import type { Broker, ComponentContext, Delivery } from '@micrograft/contracts'
import { Plugin } from '@micrograft/broker-redis'
import type { TestServer } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'

/** Short times, so that a test need not wait. */
export async function openBroker(
  { address }: Pick<TestServer, 'address'>,
  prefix: string,
  options: object = {},
  context: ComponentContext = componentContext(),
): Promise<Broker> {
  const all = {
    addresses: [address],
    prefix,
    redeliveryDelayMs: 50,
    redeliveryCheckMs: 20,
    commandTimeoutMs: 500,
    connectTimeoutMs: 2000,
    maxReconnectDelayMs: 100,
    ...options,
  }
  return Plugin.newFunc(all as never, context)
}

export function message(body: string): {
  readonly header: Record<string, string>
  readonly body: Uint8Array
} {
  return { header: {}, body: new TextEncoder().encode(body) }
}

export function bodyOf({ message: { body } }: Delivery): string {
  return new TextDecoder().decode(body)
}
