import { PluginError } from '../errors.js'
import { preferred } from '../version/preferred.js'
import { parseRange, type Range } from '../version/range.js'
import { parseVersion, type Version } from '../version/semver.js'

/** One version of a name, as the plugin `owner` registered it. */
export interface Registered {
  readonly name: string
  readonly version: string
  readonly parsed: Version
  readonly symbols: Readonly<Record<string, unknown>>
  /** Which plugin registered it; opaque here. */
  readonly owner: object
  /** The plugin's label, for messages. */
  readonly label: string
  /** The plugin's file, for errors. */
  readonly path: string
}

/** Why calls to a name go elsewhere. */
export type SwitchReason = 'registered' | 'preferred' | 'closed'

export interface Switch {
  readonly name: string
  readonly from: string | undefined
  readonly to: string | undefined
  readonly reason: SwitchReason
}

/** All versions of one name, and the one that calls go to. */
export class NameEntry {
  readonly versions: Map<string, Registered> = new Map()
  current: Registered | undefined
  pin: Range | undefined
  readonly followers: Set<() => void> = new Set()
  /** Whether a handle points here: it does so for good, also while nothing is registered. */
  handled = false
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/** Names, their versions, and which of them is preferred. */
export class Registry {
  readonly #entries = new Map<string, NameEntry>()
  readonly #onSwitch: (change: Switch) => void

  constructor(onSwitch: (change: Switch) => void) {
    this.#onSwitch = onSwitch
  }

  /** The entry of `name`, made where there is none: a handle may wait for its first version. */
  entry(name: string): NameEntry {
    let entry = this.#entries.get(name)
    if (!entry) this.#entries.set(name, (entry = new NameEntry(name)))
    return entry
  }

  /** @throws `version-taken` where another plugin has the name and version. */
  refuseTaken({ name, version, owner, label, path }: Registered): void {
    const taken = this.#entries.get(name)?.versions.get(version)
    if (taken && taken.owner !== owner) {
      throw new PluginError(
        'version-taken',
        `${label} registers ${name} ${version}, which ${taken.label} has registered; give it another version, or close that plugin first`,
        { path },
      )
    }
  }

  add(registered: Registered): void {
    this.refuseTaken(registered)
    const entry = this.entry(registered.name)
    entry.versions.set(registered.version, registered)
    this.#settle(entry, 'registered')
  }

  /** Takes back all that `owner` registered. */
  remove(owner: object): void {
    for (const entry of this.#entries.values()) {
      for (const { version, owner: other } of entry.versions.values())
        if (other === owner) entry.versions.delete(version)
      this.#settle(entry, 'closed')
      if (entry.versions.size === 0 && !entry.handled && !entry.pin) this.#entries.delete(entry.name)
    }
  }

  versions(name: string): readonly string[] {
    return [...(this.#entries.get(name)?.versions.keys() ?? [])]
  }

  /**
   * Pins `name` to the highest version in `range`, or lets it follow the highest again.
   * @throws `invalid-range`, `no-such-plugin` or `no-such-version`; nothing has changed then.
   */
  prefer(name: string, range: string | undefined): void {
    const entry = this.#entries.get(name)
    if (!entry || entry.versions.size === 0) {
      const names = [...this.#entries.values()]
        .filter((each) => each.versions.size > 0)
        .map((each) => each.name)
      throw new PluginError(
        'no-such-plugin',
        `nothing is registered as ${name}; registered are: ${names.join(', ') || 'none'}`,
      )
    }
    entry.pin = range === undefined ? undefined : this.#pin(entry, range)
    this.#settle(entry, 'preferred')
  }

  #pin(entry: NameEntry, text: string): Range {
    const range = parseRange(text)
    if (!range)
      throw new PluginError(
        'invalid-range',
        `${JSON.stringify(text)} is not a range of versions; write one as 1.2.3, ^1.2 or >=1 <3`,
      )
    if (!preferred(entry.versions.values(), range)) {
      throw new PluginError(
        'no-such-version',
        `no version of ${entry.name} is in ${text}; there are ${[...entry.versions.keys()].join(', ')}`,
      )
    }
    return range
  }

  #settle(entry: NameEntry, reason: SwitchReason): void {
    // A pin that nothing satisfies any more gives way: any version serves better than none.
    const next = preferred(entry.versions.values(), entry.pin) ?? preferred(entry.versions.values())
    const { current } = entry
    entry.current = next
    for (const follow of entry.followers) follow()
    if (current?.version !== next?.version || current?.owner !== next?.owner) {
      this.#onSwitch({ name: entry.name, from: current?.version, to: next?.version, reason })
    }
  }
}

/** @throws `invalid-version` */
export function requireVersion(version: string): Version {
  const parsed = parseVersion(version)
  if (!parsed)
    throw new PluginError(
      'invalid-version',
      `${JSON.stringify(version)} is not a semantic version; write one as 1.2.3`,
    )
  return parsed
}
