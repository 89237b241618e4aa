import { ServiceError, type Codec, type ComponentContext } from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import { requireComponent } from '../components/contract-shapes.js'

/** Every codec of a service by content type. */
export class Codecs {
  readonly #byType = new Map<string, Codec>()

  /** Makes all codecs of a catalogue; of two for one content type, the one entered later counts. */
  static async make(catalogue: Catalogue, context: ComponentContext): Promise<Codecs> {
    const codecs = new Codecs()
    const made = await Promise.all(
      catalogue
        .configs('codec')
        .map(async ({ name, version, newFunc }) =>
          requireComponent('codec', await newFunc({} as never, context), `codec ${name} ${version}`),
        ),
    )
    for (const codec of made) for (const type of codec.contentTypes) codecs.#byType.set(type, codec)
    return codecs
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
}
