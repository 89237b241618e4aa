import { PluginError } from './errors.js'

/** What a plugin offers under a name. */
export interface Registration {
  /** @default the plugin's own name */
  readonly name?: string | undefined
  /** A semantic version. @default the plugin's own version */
  readonly version?: string | undefined
  /** Functions and values by name, e.g. `{ Hello }`. Read once, now. */
  readonly symbols: Readonly<Record<string, unknown>>
}

export type Register = (registration: Registration) => void

/**
 * Registers symbols with the platform that is opening the plugin, from its module code or later.
 * What module code registers counts from the moment that all of it has run, and not at all where it
 * throws. A plugin that registers nothing is registered under its own name with its exports.
 *
 * Inside a plugin file this name is bound to that platform. Anywhere else it throws.
 *
 * @throws `not-opening` outside a plugin file; `version-taken` where another plugin registered the
 *   name and version; `invalid-name`, `invalid-version`; `closed` after the plugin was closed.
 */
export const register: Register = () => {
  throw new PluginError(
    'not-opening',
    'register works in the code of a plugin file, which a platform opens: build this module with `micrograft build` and open the result',
  )
}
