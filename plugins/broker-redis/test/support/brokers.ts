import type { Broker, Delivery } from '@micrograft/contracts'
import { Plugin } from '@micrograft/broker-redis'
import type { ServerProcess } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'

/** Short times, so that a test need not wait. */
export async function openBroker(
  { port }: Pick<ServerProcess, 'port'>,
  prefix: string,
  options: object = {},
): Promise<Broker> {
  const all = {
    addresses: [`127.0.0.1:${port}`],
    prefix,
    redeliveryDelayMs: 50,
    redeliveryCheckMs: 20,
    commandTimeoutMs: 500,
    connectTimeoutMs: 2000,
    maxReconnectDelayMs: 100,
    ...options,
  }
  return Plugin.newFunc(all as never, componentContext())
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
