import {
  ServiceError,
  type CallOptions,
  type Client,
  type Node,
  type SelectOptions,
  type Selection,
} from '@micrograft/contracts'
import { backoffMs, wait } from './backoff.js'
import type { RequestOptions } from './caller-types.js'

export interface CallDefaults {
  readonly timeoutMs: number
  readonly retries: number
}

/** The client for a protocol, the service's own where none is named. @throws `unsupported` where there is none. */
export type Clients = (protocol: string | undefined) => Client

/** Of a node that was chosen and then passed over. */
const notCalled = { error: new ServiceError('canceled', 'the node was not called'), durationMs: 0 }

/** The attempts of one call, one node after another, until one succeeds, another cannot help, or the deadline has passed. */
export class Attempts {
  /** What each is made with. */
  readonly callOptions: CallOptions | undefined
  /** Where the one at hand goes. */
  node!: Node
  /** What is left of the deadline for it, in whole milliseconds; `undefined` has none. */
  timeoutMs: number | undefined = undefined
  readonly #service: string
  readonly #endpoint: string
  readonly #options: RequestOptions
  readonly #defaults: CallDefaults
  readonly #clients: Clients
  readonly #began: number
  readonly #allowedMs: number
  #selection: Selection | undefined = undefined
  #tries = 0
  #avoid: readonly Node[] | undefined
  #startedAt: number

  /** @param avoid Nodes that are called only where there is no other. */
  constructor(
    service: string,
    endpoint: string,
    options: RequestOptions,
    defaults: CallDefaults,
    clients: Clients,
    avoid: readonly Node[] | undefined,
  ) {
    this.#service = service
    this.#endpoint = endpoint
    this.#options = options
    this.#defaults = defaults
    this.#clients = clients
    this.#avoid = avoid
    this.#allowedMs = allowed(options, defaults)
    const retries: unknown = options.retries ?? 0
    if (typeof retries !== 'number' || !(retries >= 0))
      throw new ServiceError(
        'invalid-option',
        `retries of a call is ${String(retries)}; give a number from 0 up`,
      )
    this.#began = this.#startedAt = performance.now()
    const signal = joined(options)
    this.callOptions = signal && { signal }
  }

  /**
   * Begins one: chooses a node, and gives the client that calls it.
   * @param selection The nodes, unless the call has an address.
   * @param isLater Whether time has passed since the call began.
   */
  next(selection: Selection | undefined, isLater: boolean): Client {
    this.callOptions?.signal?.throwIfAborted()
    // The first begins as the call does, unless that had to wait for the nodes.
    if (this.#tries > 0 || isLater) this.#startedAt = performance.now()
    if (this.#allowedMs !== Infinity) {
      this.timeoutMs = Math.ceil(this.#allowedMs - (this.#startedAt - this.#began))
      if (this.timeoutMs <= 0) throw deadlinePassed(this.#endpoint, this.#service)
    }
    this.#selection = selection
    this.node = selection ? this.#choose(selection) : fixedNode(this.#options.address as string)
    try {
      return this.#clients(this.node.metadata['protocol'])
    } catch (error) {
      this.#mark(error)
      throw error
    }
  }

  succeeded(): void {
    this.#mark(undefined)
  }

  /** Waits until another can be made. @throws `error` where there is to be none. */
  async failed(error: unknown): Promise<void> {
    this.#mark(error)
    const { retries = this.#defaults.retries, retryIf = isRetryable, backoff } = this.#options
    const signal = this.callOptions?.signal
    if (this.#tries++ >= retries || signal?.aborted || !retryIf(error as Error)) throw error
    this.#avoid = [...(this.#avoid ?? []), this.node]
    const pause = backoffMs(this.#tries, backoff)
    if (performance.now() - this.#began + pause >= this.#allowedMs) throw error
    await wait(pause, signal)
  }

  #mark(error: unknown): void {
    this.#selection?.mark(this.node, { error, durationMs: performance.now() - this.#startedAt })
  }

  /** A node that is called by the service's own client where there is one, else one of another protocol. */
  #choose(selection: Selection): Node {
    const { select } = this.#options
    const avoid = this.#avoid
    const options: SelectOptions | undefined = select || avoid ? { ...select, avoid } : undefined
    const node = selection.next(options)
    const { protocol } = this.#clients(undefined)
    if (node.metadata['protocol'] === undefined || node.metadata['protocol'] === protocol) return node
    try {
      const own = selection.next({ ...options, labels: { ...options?.labels, protocol } })
      selection.mark(node, notCalled)
      return own
    } catch {
      return node
    }
  }
}

export function isRetryable(error: Error): boolean {
  return error instanceof ServiceError && error.retryable
}

export function deadlinePassed(endpoint: string, service: string): ServiceError {
  return new ServiceError('timeout', `the deadline of ${endpoint} on ${service} has passed`)
}

/** The signals of a call and of the call that it is made for. */
export function joined({ signal, parent }: RequestOptions): AbortSignal | undefined {
  if (!parent) return signal
  return signal ? AbortSignal.any([signal, parent.signal]) : parent.signal
}

/**
 * Milliseconds until the earlier of the call's own deadline and its parent's; `Infinity` where there is none,
 * 0 or less where it has passed.
 * @throws `invalid-option`
 */
export function allowed(
  { timeoutMs, parent }: RequestOptions,
  defaults: { readonly timeoutMs: number },
): number {
  const ms: unknown = timeoutMs ?? defaults.timeoutMs
  if (typeof ms !== 'number' || Number.isNaN(ms))
    throw new ServiceError('invalid-option', `timeoutMs of a call is ${String(ms)}; give milliseconds`)
  const own = ms === 0 ? Infinity : ms
  return parent?.deadline === undefined ? own : Math.min(own, parent.deadline - Date.now())
}

function fixedNode(address: string): Node {
  return { id: address, address, metadata: {} }
}
