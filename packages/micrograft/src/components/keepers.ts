import type { ComponentType, ComponentTypes } from '@micrograft/contracts'
import type { Keeper, SlotView } from './keeper.js'
import { brokerKeeper } from './keepers/broker-keeper.js'
import { clientKeeper } from './keepers/client-keeper.js'
import { configKeeper } from './keepers/config-keeper.js'
import { loggerKeeper } from './keepers/logger-keeper.js'
import { registryKeeper } from './keepers/registry-keeper.js'
import { selectorKeeper } from './keepers/selector-keeper.js'
import { serverKeeper } from './keepers/server-keeper.js'
import { storeKeeper } from './keepers/store-keeper.js'
import { transportKeeper, type MovedDoor } from './keepers/transport-keeper.js'

/** What a service is told so that it can tell others. */
export interface Moves {
  door?(door: MovedDoor): Promise<void>
}

type Make<K extends ComponentType> = (slot: SlotView<ComponentTypes[K]>) => Keeper<ComponentTypes[K]>

/** The keeper of a type; a type of which nothing outlives a call has none. */
export function keeperOf<K extends ComponentType>(type: K, moves: Moves = {}): Make<K> | undefined {
  const keepers: { readonly [T in ComponentType]?: Make<T> } = {
    broker: brokerKeeper,
    client: clientKeeper,
    config: configKeeper,
    logger: loggerKeeper,
    registry: registryKeeper,
    selector: selectorKeeper,
    server: serverKeeper,
    store: storeKeeper,
    transport: (slot) => transportKeeper(slot, (door) => moves.door?.(door) ?? Promise.resolve()),
  }
  return keepers[type] as Make<K> | undefined
}

/** Types whose calls may be shared between two components: each call stands alone. */
export const sharingTypes: ReadonlySet<ComponentType> = new Set(['auth', 'client', 'handler', 'store'])
