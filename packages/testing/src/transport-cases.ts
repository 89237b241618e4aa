import type { Transport, TransportLimits } from '@micrograft/contracts'
import type { Case } from './case.js'
import { abortCases } from './transport/abort-cases.js'
import { addressCases } from './transport/address-cases.js'
import { connectionCases } from './transport/connection-cases.js'
import { disposeCases } from './transport/dispose-cases.js'
import { endCases } from './transport/end-cases.js'
import { flowCases } from './transport/flow-cases.js'
import { messageCases } from './transport/message-cases.js'

/** What the cases of a transport are run on. Disposing it disposes the transport. */
export interface TransportSubject extends AsyncDisposable {
  readonly transport: Transport
  /** What it listens on where any address will do. */
  readonly address: string
  /** An address that it can dial, where nobody listens. */
  readonly nobody: string
  /** What it was made with. Small ones make the cases quick: 100 KB, 1 MB and 3 connections are enough. */
  readonly limits: Required<{ [K in keyof TransportLimits]: number }>
}

/** What every transport keeps. */
export const transportCases: readonly Case<TransportSubject>[] = [
  ...messageCases,
  ...flowCases,
  ...endCases,
  ...addressCases,
  ...connectionCases,
  ...abortCases,
  ...disposeCases,
]
