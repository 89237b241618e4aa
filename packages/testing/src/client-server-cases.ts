import type { Client, Dispatcher, Node, Server } from '@micrograft/contracts'
import type { Case } from './case.js'
import { backPressureCases } from './client-server/back-pressure-cases.js'
import { callCases } from './client-server/call-cases.js'
import { disposeCases } from './client-server/dispose-cases.js'
import { errorCases } from './client-server/error-cases.js'
import { givingUpCases } from './client-server/giving-up-cases.js'
import { lossCases } from './client-server/loss-cases.js'
import { metadataCases } from './client-server/metadata-cases.js'
import { stopCases } from './client-server/stop-cases.js'
import { streamCases } from './client-server/stream-cases.js'
import { streamEndCases } from './client-server/stream-end-cases.js'

/** A server that serves. */
export interface ServedNode {
  readonly server: Server
  readonly node: Node
  /** Cuts every connection to it, without a word. */
  cut(): void
}

/**
 * A client and servers of one protocol. A protocol that lacks something skips its cases by name:
 * without cancellation those with `abort` and `cancel`, without flow control those with `back-pressure`,
 * without reply metadata those with `reply metadata`. Disposing it disposes the client and all servers.
 */
export interface ClientServerSubject extends AsyncDisposable {
  readonly client: Client
  /** Starts a server of its own. */
  start(dispatcher: Dispatcher): Promise<ServedNode>
  /** Where nobody serves. */
  readonly nobody: Node
  /** What one stream may have on the way without its reader, at most, in messages of 10 KB. */
  readonly maxUnread: number
}

/** What every pair of a client and a server promises. */
export const clientServerCases: readonly Case<ClientServerSubject>[] = [
  ...callCases,
  ...metadataCases,
  ...errorCases,
  ...givingUpCases,
  ...streamCases,
  ...backPressureCases,
  ...streamEndCases,
  ...lossCases,
  ...stopCases,
  ...disposeCases,
]
