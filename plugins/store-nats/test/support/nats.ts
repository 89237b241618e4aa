import type { Store } from '@micrograft/contracts'
import { Plugin, type NatsStoreOptions } from '@micrograft/store-nats'
import { componentContext } from '@micrograft/testing'

export function openStore(options: NatsStoreOptions): Promise<Store> {
  return (Plugin.newFunc as unknown as (...args: unknown[]) => Promise<Store>)(options, componentContext())
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)
