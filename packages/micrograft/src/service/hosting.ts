import type { Node, ServerAddress, ServerContext, ServiceRecord } from '@micrograft/contracts'
import { LocalCalls } from '../calls/local-calls.js'
import type { HostContext } from '../components/keepers/server-keeper.js'
import { placed, type MovedDoor } from '../components/keepers/transport-keeper.js'
import type { Endpoints } from '../handle/endpoints.js'
import { ServiceDispatcher } from '../handle/service-dispatcher.js'
import { Doors } from './doors.js'
import { Registration } from './registration.js'
import { transportOf } from './service-options.js'
import type { Parts } from './service-parts.js'

interface Served {
  /** Of the server, as a flag names it; `undefined` is the service's own. */
  readonly name: string | undefined
  /** The transport of its door, where that is not the service's own. */
  readonly transport: string | undefined
  address: ServerAddress
}

/** The side of a service that answers: its servers, the doors that they have, and the node in the registry. */
export class Hosting {
  readonly #parts: Parts
  readonly #endpoints: Endpoints
  readonly #served: Served[] = []
  #registration: Registration | undefined
  #local: LocalCalls | undefined
  #withdrawn = false

  constructor(parts: Parts, endpoints: Endpoints) {
    this.#parts = parts
    this.#endpoints = endpoints
  }

  /** What the service is registered as; `undefined` while it serves nothing. */
  get address(): string | undefined {
    const own = this.#served[0]
    return own && (this.#parts.settings.advertise ?? own.address.address)
  }

  /** The service's endpoints as the registry shows them, with a node for each server. */
  get record(): ServiceRecord {
    const { settings, handlers } = this.#parts
    return {
      name: settings.name,
      version: settings.version || (handlers.version ?? 'latest'),
      metadata: {},
      endpoints: this.#endpoints.describe(),
      nodes: this.#served.length > 0 ? this.#served.map((each) => this.#node(each)) : [this.#node(undefined)],
    }
  }

  /** Where calls of the service to itself are made; `undefined` before it has started. */
  get local(): LocalCalls | undefined {
    return this.#local
  }

  /** Starts the servers and registers. @throws what either rejects with. */
  async start(): Promise<void> {
    const { settings, components, codecs, chains } = this.#parts
    const dispatcher = new ServiceDispatcher({
      service: settings.name,
      endpoints: this.#endpoints,
      codec: codecs.find,
      chains,
      log: () => components.use('logger'),
    })
    for (const name of [undefined, ...settings.alsoServe]) {
      const transport = name === undefined ? undefined : transportOf(name)
      const doors = new Doors(
        components.use('transport', transport),
        name === undefined ? settings.address : '',
      )
      const context: HostContext = {
        dispatcher,
        doors,
        moved: (address) => this.#serverMoved(name, address),
      }
      // The slot of the server hands each server its doors.
      const address = await components.use('server', name).start(context as unknown as ServerContext)
      this.#served.push({ name, transport, address })
    }
    this.#local = new LocalCalls({
      service: settings.name,
      endpoints: this.#endpoints,
      chains,
      timeoutMs: settings.callTimeoutMs,
      log: () => components.use('logger'),
      nodes: () => this.record.nodes,
    })
    const registration = await Registration.begin({
      registry: components.use('registry'),
      record: () => this.record,
      ttlMs: settings.registerTtlMs,
      intervalMs: settings.registerIntervalMs,
      log: () => components.use('logger'),
    })
    this.#registration = registration
    // It was stopped while it was registered.
    if (this.#withdrawn) await registration[Symbol.asyncDispose]()
  }

  /** Takes the node out of the registry; nobody is sent here any more. */
  async withdraw(): Promise<void> {
    this.#withdrawn = true
    await this.#registration?.[Symbol.asyncDispose]()
  }

  /** Lets what is under way end, and stops. */
  async stop(graceMs: number): Promise<void> {
    const { components } = this.#parts
    const end = performance.now() + graceMs
    const stopping = this.#served.map(({ name }) => components.use('server', name).stop({ graceMs }))
    const stopped = await Promise.allSettled(stopping)
    // Calls that came from elsewhere may have made some.
    await this.#local?.stop({ graceMs: Math.max(0, end - performance.now()) })
    for (const each of stopped) if (each.status === 'rejected') throw each.reason
  }

  /** Registers the node as it is now, where it is registered. */
  async renew(): Promise<void> {
    await this.#registration
      ?.renew()
      .catch((error: unknown) =>
        this.#parts.components.use('logger').warn('cannot renew the registration', { error }),
      )
  }

  /** A door is at another address now. */
  async doorMoved({ from, to }: MovedDoor): Promise<void> {
    const served = this.#served.find(({ address }) => address.address === from)
    if (served) await this.#move(served, placed(served.address, to))
  }

  /** Another server answers: others must know before the old one goes. */
  async #serverMoved(name: string | undefined, address: ServerAddress): Promise<void> {
    const served = this.#served.find((each) => each.name === name)
    if (served) await this.#move(served, address)
  }

  async #move(served: Served, address: ServerAddress): Promise<void> {
    const isElsewhere = served.address.address !== address.address
    served.address = address
    if (!this.#registration) return
    await this.#registration.renew()
    if (isElsewhere) await pause(this.#parts.components.use('registry').capabilities.visibleWithinMs)
  }

  #node(served: Served | undefined): Node {
    const { name, id, metadata, advertise } = this.#parts.settings
    const isOwn = served?.name === undefined
    const own = served?.address.metadata ?? {}
    // A server names the service's transport; one with a transport of its own, such as grpc, does not.
    const isOnDoor = served && own['transport'] === this.#parts.components.use('transport').name
    return {
      id: isOwn ? `${name}-${id}` : `${name}-${id}-${served.name}`,
      address: (isOwn ? advertise : undefined) ?? served?.address.address ?? '',
      metadata: {
        ...metadata,
        ...own,
        ...(isOnDoor && served.transport && { transport: served.transport }),
      },
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
