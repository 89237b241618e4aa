import { Plugin as natsBroker } from '@micrograft/broker-nats'
import { Plugin as etcdRegistry } from '@micrograft/registry-etcd'
import { Plugin as natsRegistry } from '@micrograft/registry-nats'
import { createService, type Service, type ServiceOptions } from 'micrograft'
import { places, protocols, type Place, type Protocol } from './cells.js'
import { read, type Message } from './message.js'
import { say } from './say.js'
import { serviceName, topicName, type Settings } from './settings.js'

/** The services of this side: for each registry one for each protocol, and for each place one that calls, publishes and hears. */
export class NodeSide implements AsyncDisposable {
  readonly #settings: Settings
  readonly #services: Service[] = []
  readonly #callers = new Map<string, Service>()
  readonly #heard = new Set<string>()
  #hear: (() => void)[] = []

  private constructor(settings: Settings) {
    this.#settings = settings
  }

  static async start(settings: Settings, versions: readonly string[]): Promise<NodeSide> {
    const side = new NodeSide(settings)
    try {
      for (const place of places(settings.registries)) {
        await side.#addCaller(place, versions)
        if (place.broker === 'http') for (const each of protocols) await side.#addGreeter(place, each)
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

  async #addGreeter(place: Place, protocol: Protocol): Promise<void> {
    const name = serviceName(this.#settings, 'js', protocol)
    // Longer than any deadline of the run's.
    const service = createService({ ...this.#options(place), name, server: protocol, graceMs: 100 })
    service.handle('Say', say)
    this.#services.push(service)
    await service.start()
  }

  async #addCaller(place: Place, versions: readonly string[]): Promise<void> {
    const service = createService({ ...this.#options(place), name: `${this.#settings.tag}-caller` })
    this.#services.push(service)
    this.#callers.set(`${place.registry}-${place.broker}`, service)
    await service.start()
    for (const version of versions) {
      for (const protocol of protocols) {
        const topic = `${topicName(this.#settings, 'js', protocol, place)}-${version}`
        await service.subscribe<Message>(topic, (message) => this.#take(topic, read(message)))
      }
    }
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
      registry: { use: registry, options: { addresses: addresses[registry] } },
      broker: { use: broker, options: { addresses: addresses[broker] } },
      logger: 'noop',
    }
  }
}
