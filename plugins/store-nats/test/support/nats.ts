import type { Store } from '@micrograft/contracts'
import { Plugin, type NatsStoreOptions } from '@micrograft/store-nats'
import { natsLogin, type TestServer } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'

export function openStore(options: NatsStoreOptions): Promise<Store> {
  return (Plugin.newFunc as unknown as (...args: unknown[]) => Promise<Store>)(options, componentContext())
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)

/** Gives back what the server keeps for buckets. */
export async function forget(server: TestServer, buckets: Iterable<string>): Promise<void> {
  const connection = await connect(natsLogin(server))
  const all = new Kvm(connection)
  for (const name of buckets)
    await all
      .open(name)
      .then((each) => each.destroy())
      .catch(() => undefined)
  await connection.close()
}
