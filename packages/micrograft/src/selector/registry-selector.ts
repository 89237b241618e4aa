import {
  requireLimits,
  resolveOptions,
  ServiceError,
  timerMs,
  type CallOptions,
  type ComponentContext,
  type Logger,
  type Registry,
  type RegistryWatcher,
  type Selection,
  type Selector,
} from '@micrograft/contracts'
import { checkChoice, choiceDefaults, type Choice, type ChoiceOptions } from './choice-options.js'
import { candidatesOf, type Candidate } from './node-member.js'
import { NodeSelection } from './node-selection.js'

export interface RegistrySelectorOptions extends ChoiceOptions {
  /** Longest wait before a lost registry is tried again, in milliseconds; the first is a hundredth. @default 10_000 */
  readonly maxRetryMs?: number | undefined
}

/** Services whose nodes are remembered after the last selection of them has gone. */
const maxRemembered = 1000

/** Chooses among the nodes that the service's registry tells of. */
export function registrySelector(
  options: RegistrySelectorOptions | undefined,
  { use, log }: ComponentContext,
): Selector {
  const what = 'the options of the registry selector'
  const { maxRetryMs, ...choice } = resolveOptions(what, { ...choiceDefaults, maxRetryMs: 10_000 }, options)
  checkChoice(choice)
  requireLimits(what, { maxRetryMs })
  return new RegistrySelector(use('registry'), choice, maxRetryMs, log)
}

class RegistrySelector implements Selector {
  readonly name = 'registry'
  readonly #registry: Registry
  readonly #choice: Choice
  readonly #maxRetryMs: number
  readonly #log: Logger
  readonly #open = new Set<Selection>()
  /** The last that was known, for when the registry cannot be asked. */
  readonly #remembered = new Map<string, readonly Candidate[]>()
  readonly #closing = new AbortController()

  constructor(registry: Registry, choice: Choice, maxRetryMs: number, log: Logger) {
    this.#registry = registry
    this.#choice = choice
    this.#maxRetryMs = maxRetryMs
    this.#log = log
  }

  async select(service: string, { signal }: CallOptions = {}): Promise<Selection> {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    const feed = new RegistryFeed(this.#registry, service, this.#maxRetryMs, this.#log)
    const selection = new NodeSelection(service, this.#choice, async () => {
      this.#open.delete(selection)
      if (feed.knows) this.#remember(service, feed.candidates)
      await feed.stop()
    })
    this.#open.add(selection)
    try {
      await feed.start(selection, this.#remembered.get(service), signal)
      this.#closing.signal.throwIfAborted()
      return selection
    } catch (error) {
      await selection[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(new ServiceError('closed', 'the registry selector is closed; open another'))
    }
    await Promise.all([...this.#open].map((each) => each[Symbol.asyncDispose]()))
    this.#remembered.clear()
  }

  #remember(service: string, candidates: readonly Candidate[]): void {
    this.#remembered.delete(service)
    if (candidates.length === 0) return
    this.#remembered.set(service, candidates)
    if (this.#remembered.size > maxRemembered)
      this.#remembered.delete(this.#remembered.keys().next().value as string)
  }
}

/** Keeps a selection as the registry is, and as it last was while the registry is lost. */
class RegistryFeed {
  readonly #registry: Registry
  readonly #service: string
  readonly #maxRetryMs: number
  readonly #log: Logger
  readonly #known = new Map<string, Candidate>()
  readonly #stopping = new AbortController()
  #watcher: RegistryWatcher | undefined
  #following: Promise<void> | undefined

  constructor(registry: Registry, service: string, maxRetryMs: number, log: Logger) {
    this.#registry = registry
    this.#service = service
    this.#maxRetryMs = maxRetryMs
    this.#log = log
  }

  /** Whether it has nodes from the registry, or those remembered: an aborted one has nothing to say. */
  get knows(): boolean {
    return this.#following !== undefined
  }

  get candidates(): readonly Candidate[] {
    return [...this.#known.values()]
  }

  /** @param remembered Stands in for the registry where that cannot be asked. */
  async start(
    selection: NodeSelection,
    remembered: readonly Candidate[] | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const onAbort = (): void => this.#stopping.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#synchronize(selection)
    } catch (error) {
      if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason
      if (!remembered) throw unavailable(this.#service, error)
      this.#log.warn('registry lost, going on with the nodes known before', { service: this.#service, error })
      this.#reset(selection, remembered)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    this.#following = this.#follow(selection)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError('closed', `the selection of ${this.#service} is closed`))
    await this.#watcher?.return?.()
    await this.#following
  }

  /** Watches first, so that nothing that changes after the snapshot is missed. */
  async #synchronize(selection: NodeSelection): Promise<void> {
    const { signal } = this.#stopping
    const watcher = await this.#registry.watch({ service: this.#service, signal })
    try {
      const records = await this.#registry.get(this.#service, { signal })
      signal.throwIfAborted()
      this.#reset(selection, candidatesOf(records))
      this.#watcher = watcher
    } catch (error) {
      await watcher.return?.()
      throw error
    }
  }

  async #follow(selection: NodeSelection): Promise<void> {
    const { signal } = this.#stopping
    let attempt = 0
    while (!signal.aborted) {
      try {
        if (!this.#watcher) {
          await wait(this.#delay(attempt++), signal)
          await this.#synchronize(selection)
          this.#log.info('registry found again', { service: this.#service })
        }
        attempt = 0
        await this.#apply(selection, this.#watcher as unknown as RegistryWatcher)
        throw new ServiceError('unavailable', 'the watcher of the registry has ended')
      } catch (error) {
        if (this.#watcher && !signal.aborted)
          this.#log.warn('registry lost, trying again', { service: this.#service, error })
        await this.#watcher?.return?.()
        this.#watcher = undefined
      }
    }
  }

  async #apply(selection: NodeSelection, watcher: RegistryWatcher): Promise<void> {
    for await (const { type, service } of watcher) {
      for (const each of candidatesOf([service])) {
        if (type === 'delete') {
          this.#known.delete(each.node.id)
          selection.remove(each.node.id)
        } else {
          this.#known.set(each.node.id, each)
          selection.put(each)
        }
      }
    }
  }

  #reset(selection: NodeSelection, candidates: readonly Candidate[]): void {
    this.#known.clear()
    for (const each of candidates) this.#known.set(each.node.id, each)
    selection.reset(candidates)
  }

  /** Doubles, with a random part, so that the callers of a registry that comes back do not all ask at once. */
  #delay(attempt: number): number {
    const full = Math.min(this.#maxRetryMs, (this.#maxRetryMs / 100) * 2 ** attempt)
    return full * (0.5 + Math.random() / 2)
  }
}

function unavailable(service: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError && cause.code === 'unavailable') return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `cannot ask the registry for the nodes of ${service}: ${reason}; is it there?`
  return new ServiceError('unavailable', message, { cause })
}

/** Resolves early where the signal is aborted. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, timerMs(ms)).unref()
    signal.addEventListener('abort', end)
  })
}
