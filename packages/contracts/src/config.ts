import type { CallOptions } from './values.js'

/** A plain value as JSON has it. */
export type ConfigValue =
  | string
  | number
  | boolean
  | null
  | readonly ConfigValue[]
  | { readonly [name: string]: ConfigValue }

/** A source of settings. */
export interface Config extends AsyncDisposable {
  readonly name: string
  /** The whole tree as it is now. @throws `unavailable`, `bad-request` where it does not parse, saying where. */
  read(options?: CallOptions): Promise<{ readonly [name: string]: ConfigValue }>
  /**
   * The tree after each change, each time and also where a file was replaced by rename. A change that
   * does not parse is told by throwing nothing: `onError` gets it and the last good tree stays.
   */
  watch(
    options?: CallOptions & { readonly onError?: ((error: Error) => void) | undefined },
  ): AsyncIterableIterator<{ readonly [name: string]: ConfigValue }>
}
