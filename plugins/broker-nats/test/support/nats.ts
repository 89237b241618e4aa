import type { Broker } from '@micrograft/contracts'
import { Plugin, type NatsBrokerOptions } from '@micrograft/broker-nats'
import type { TestServer } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node'

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

/** How the tests themselves connect. */
export function login({ host, port, user, password: pass }: TestServer): NodeConnectionOptions {
  return { servers: `${host}:${port}`, ...(user === undefined ? {} : { user, pass }) }
}

/** Gives back what the server keeps for streams. */
export async function forget(server: TestServer, streams: Iterable<string>): Promise<void> {
  const connection = await connect(login(server))
  const { streams: all } = await jetstreamManager(connection)
  for (const stream of streams) await all.delete(stream).catch(() => undefined)
  await connection.close()
}
