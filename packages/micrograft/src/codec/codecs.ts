import { ServiceError, type Codec } from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import { disposeAll } from '../components/dispose-all.js'
import type { Maker } from '../components/maker.js'
import { Slot } from '../components/slot.js'
import type { SlotReport, SwapEvent } from '../components/swap-options.js'

/** Every codec of a service by content type; a slot for each codec, by its name. */
export class Codecs implements AsyncDisposable {
  readonly #tell: (event: Omit<SwapEvent, 'service'>) => void
  readonly #slots = new Map<string, Slot<'codec'>>()
  readonly #byType = new Map<string, Codec>()

  constructor(tell: (event: Omit<SwapEvent, 'service'>) => void) {
    this.#tell = tell
  }

  /** Makes all codecs of a catalogue; of two for one content type, the one entered later counts. */
  async make(catalogue: Catalogue, maker: Maker): Promise<void> {
    const made = await Promise.allSettled(
      catalogue.configs('codec').map(async (config) => {
        const candidate = maker.candidate('codec', config, {})
        const slot = this.#slot(config.name)
        slot.fill(candidate, await candidate.make())
        return slot
      }),
    )
    for (const each of made) {
      if (each.status === 'rejected') throw each.reason
      if (each.value.current) this.#enter(each.value.current.component)
    }
  }

  /** The slot of the codec called `name`. @throws `not-found` */
  slot(name: string): Slot<'codec'> {
    const slot = this.#slots.get(name)
    if (slot) return slot
    throw new ServiceError(
      'not-found',
      `the service has no codec ${name}; it has ${[...this.#slots.keys()].join(', ')}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll('codecs', this.#slots.values())
  }

  report(): SlotReport[] {
    return [...this.#slots.values()].map((slot) => slot.report())
  }

  /** @throws `unsupported-content`, listing the content types that there are. */
  readonly find = (contentType: string): Codec => {
    const codec =
      this.#byType.get(contentType) ?? this.#byType.get(contentType.replace(/;.*$/s, '').trim().toLowerCase())
    if (codec) return codec
    throw new ServiceError(
      'unsupported-content',
      `no codec for ${JSON.stringify(contentType.slice(0, 128))}; there are ${[...this.#byType.keys()].sort().join(', ')}`,
    )
  }

  #slot(name: string): Slot<'codec'> {
    const slot = new Slot('codec', {
      name: `codec ${name}`,
      tell: this.#tell,
      keeper: () => ({
        methods: {},
        switched: (next, old) => {
          for (const [type, codec] of this.#byType) if (codec === old.component) this.#byType.delete(type)
          this.#enter(next.component)
        },
      }),
    })
    this.#slots.set(name, slot)
    return slot
  }

  #enter(codec: Codec): void {
    for (const type of codec.contentTypes) this.#byType.set(type, codec)
  }
}
