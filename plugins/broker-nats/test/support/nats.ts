import type { Broker } from '@micrograft/contracts'
import { Plugin, type NatsBrokerOptions } from '@micrograft/broker-nats'
import { natsLogin, type TestServer } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

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

/** JetStream as its own client has it. */
export async function jetStream(
  server: Pick<TestServer, 'host' | 'port' | 'user' | 'password'>,
): Promise<JetStreamManager & AsyncDisposable> {
  const connection = await connect(natsLogin(server as TestServer))
  const manager = await jetstreamManager(connection)
  return Object.assign(manager, { [Symbol.asyncDispose]: () => connection.close() })
}

/** Gives back what the server keeps for streams. */
export async function forget(server: TestServer, streams: Iterable<string>): Promise<void> {
  await using all = await jetStream(server)
  for (const stream of streams) await all.streams.delete(stream).catch(() => undefined)
}
