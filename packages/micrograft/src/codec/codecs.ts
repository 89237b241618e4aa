import { ServiceError, type Codec } from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Maker } from '../components/maker.js'
import { Slot } from '../components/slot.js'
import type { SlotReport, SwapEvent } from '../components/swap-options.js'

export interface CodecsOptions {
  readonly catalogue: Catalogue
  readonly maker: Maker
  readonly tell: (event: Omit<SwapEvent, 'service'>) => void
}

/** Every codec of a service by content type; a slot for each codec, by its name. */
export class Codecs {
  readonly #options: CodecsOptions
  readonly #slots = new Map<string, Slot<'codec'>>()
  readonly #byType = new Map<string, Codec>()

  private constructor(options: CodecsOptions) {
    this.#options = options
  }

  /** Makes all codecs of a catalogue; of two for one content type, the one entered later counts. */
  static async make(options: CodecsOptions): Promise<Codecs> {
    const codecs = new Codecs(options)
    const made = await Promise.all(
      options.catalogue.configs('codec').map(async (config) => {
        const candidate = options.maker.candidate('codec', config, {})
        const slot = codecs.#slot(config.name)
        slot.fill(candidate, await candidate.make())
        return slot
      }),
    )
    for (const { current } of made) if (current) codecs.#enter(current.component)
    return codecs
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
      tell: this.#options.tell,
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
