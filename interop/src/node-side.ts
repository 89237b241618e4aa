import { Plugin as natsBroker } from '@micrograft/broker-nats'
import { Plugin as etcdRegistry } from '@micrograft/registry-etcd'
import { Plugin as natsRegistry } from '@micrograft/registry-nats'
import { createService, type Service, type ServiceOptions } from 'micrograft'
import { places, type Place } from './cells.js'
import { read, type Message } from './message.js'
import { say } from './say.js'
import { nameAt, type Settings } from './settings.js'

/** What the subjects of go-micro's nats registry begin with, where that is not what they began with at first. */
const natsPrefixes: Readonly<Record<string, string>> = {
  v5: 'micro.nats',
  v6: 'micro.nats',
}

/** The services of this side: for each registry one that is called, and for each place one that calls, publishes and hears. */
export class NodeSide implements AsyncDisposable {
  readonly #settings: Settings
  readonly #natsPrefix: string | undefined
  readonly #services: Service[] = []
  readonly #callers = new Map<string, Service>()
  readonly #heard = new Set<string>()
  #hear: (() => void)[] = []

  private constructor(settings: Settings, natsPrefix: string | undefined) {
    this.#settings = settings
    this.#natsPrefix = natsPrefix
  }

  /** @param version Of go-micro, for which this side is. */
  static async start(settings: Settings, version: string): Promise<NodeSide> {
    const side = new NodeSide(settings, natsPrefixes[version])
    try {
      for (const place of places(settings.registries)) {
        await side.#addCaller(place)
        if (place.broker === 'http') await side.#addGreeter(place)
      }
    } catch (error) {
      await side[Symbol.asyncDispose]()
      throw error
    }
    return side
  }

  caller({ registry, broker }: Place): Service {
    const caller = this.#callers.get(`${registry}-${broker}`)
    if (!caller) throw new Error(`there is no caller at ${registry} with ${broker}`)
    return caller
  }

  /** Whether a message with this text comes to the topic in time. */
  async hears(topic: string, text: string, timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs
    while (!this.#heard.has(`${topic} ${text}`)) {
      const left = deadline - Date.now()
      if (left <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#hear.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#services.map((each) => each.stop()))
  }

  async #addGreeter(place: Place): Promise<void> {
    const name = nameAt(this.#settings, 'js', place)
    const service = createService({
      ...this.#options(place),
      name,
      server: this.#settings.protocol,
      graceMs: 100,
    })
    service.handle('Say', say)
    this.#services.push(service)
    await service.start()
  }

  async #addCaller(place: Place): Promise<void> {
    const service = createService({ ...this.#options(place), name: `${this.#settings.tag}-caller` })
    this.#services.push(service)
    this.#callers.set(`${place.registry}-${place.broker}`, service)
    await service.start()
    const topic = nameAt(this.#settings, 'js', place)
    await service.subscribe<Message>(topic, (message) => this.#take(topic, read(message)))
  }

  #take(topic: string, text: string): void {
    this.#heard.add(`${topic} ${text}`)
    for (const wake of this.#hear.splice(0)) wake()
  }

  #options({ registry, broker }: Place): ServiceOptions {
    const { etcdPort, natsPort } = this.#settings
    const addresses = {
      mdns: undefined,
      http: undefined,
      etcd: [`127.0.0.1:${etcdPort}`],
      nats: [`nats://127.0.0.1:${natsPort}`],
    }
    return {
      plugins: [etcdRegistry, natsRegistry, natsBroker],
      registry: {
        use: registry,
        options: {
          addresses: addresses[registry],
          ...(registry === 'nats' && this.#natsPrefix !== undefined && { prefix: this.#natsPrefix }),
        },
      },
      broker: { use: broker, options: { addresses: addresses[broker] } },
      logger: 'noop',
    }
  }
}
