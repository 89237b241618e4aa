import {
  connect,
  type ConnectionOptions,
  type NatsConnection,
  type NatsConnectionImpl,
} from '@nats-io/transport-node'
import type { NatsSettings } from './nats-options.js'
import { someAnswer } from './nats-probe.js'
import { within } from './waits.js'

/** One try to connect; nothing is left open where it fails. @throws errors of the client library, the signal's reason. */
export async function openConnection(
  { places, connectTimeoutMs, handshakeFirst, client }: NatsSettings,
  more: ConnectionOptions,
  signal: AbortSignal,
): Promise<NatsConnection> {
  await someAnswer(places, connectTimeoutMs, !handshakeFirst, signal)
  const connecting = connect({ ...client, ...more })
  return within(connecting, signal, () => connecting.then(endConnection, () => undefined))
}

/** Closes a connection, and also what the client library leaves where it is just trying to connect again. */
export async function endConnection(connection: NatsConnection): Promise<void> {
  const { protocol } = connection as NatsConnectionImpl
  const discard = (): void => {
    protocol.heartbeats.cancel()
    protocol.transport.discard()
  }
  const trying = protocol.connectPromise
  await connection.close()
  discard()
  trying?.then(discard, discard)
}
