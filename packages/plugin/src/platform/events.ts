import type { PluginError } from '../errors.js'
import type { CloseReport, Plugin } from './plugin.js'
import type { Switch } from './registry.js'

/** What a platform tells, by event; each has one argument. Nothing is told before it is so. */
export interface PlatformEvents {
  /** A plugin was opened, for the first time or after it had been closed. */
  opened: [{ readonly plugin: Plugin }]
  /** A plugin registered a version of a name. */
  registered: [{ readonly name: string; readonly version: string; readonly plugin: Plugin }]
  /** Calls to a name go to another version from now on, or to none (`to` is `undefined`). */
  switched: [Switch]
  /** A plugin was closed; the report says what it had left behind. */
  closed: [{ readonly plugin: Plugin; readonly report: CloseReport }]
  /** A file in a watched directory was not taken. */
  refused: [{ readonly path: string; readonly error: PluginError }]
}
