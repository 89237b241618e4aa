import { NatsLink, type NatsConnectionOptions, type NatsLinkContext } from '@micrograft/nats-link'
import { componentContext } from '@micrograft/testing'

/** As a plugin opens its link; it is closed as it is disposed. */
export async function openLink(
  options: NatsConnectionOptions,
  more: Partial<NatsLinkContext> = {},
): Promise<NatsLink & AsyncDisposable> {
  const { service, log, signal } = componentContext()
  const link = await NatsLink.open(options, { what: 'the link of the test', service, log, signal, ...more })
  return Object.assign(link, { [Symbol.asyncDispose]: () => link.close() })
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The code that a call fails with, or `none`. */
export function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'none',
    ({ code }: { code: string }) => code,
  )
}
