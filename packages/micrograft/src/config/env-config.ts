import { resolveOptions, type Config, type ConfigValue } from '@micrograft/contracts'
import { ValuesConfig } from './memory-config.js'
import type { ConfigTree } from './config-changes.js'

export interface EnvConfigOptions {
  /** What the variables are read from. @default `process.env` */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Only variables that begin so; the beginning is cut off. @default `CONFIG_` */
  readonly prefix?: string | undefined
  /** Not used: here so that every config takes the flag's options. */
  readonly addresses?: readonly string[] | undefined
}

/** Settings from the environment, as go-micro reads them: lower case, and `_` goes a level down: `CONFIG_DB_HOST` is `db.host`. */
export function envConfig(options?: EnvConfigOptions): Config {
  const { env, prefix } = resolveOptions(
    'the options of the env config',
    { env: process.env, prefix: 'CONFIG_', addresses: undefined },
    options,
  )
  const tree: Record<string, ConfigValue> = Object.create(null) as Record<string, ConfigValue>
  for (const [name, value] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined || !name.startsWith(prefix) || name.length === prefix.length) continue
    put(
      tree,
      name
        .slice(prefix.length)
        .toLowerCase()
        .split('_')
        .filter((part) => part !== ''),
      value,
    )
  }
  return new ValuesConfig('env', tree as ConfigTree)
}

function put(tree: Record<string, ConfigValue>, path: readonly string[], value: string): void {
  const [first, ...rest] = path
  if (first === undefined || first === '__proto__') return
  if (rest.length === 0) {
    tree[first] = value
    return
  }
  const below = tree[first]
  const inner = typeof below === 'object' && below !== null && !Array.isArray(below) ? below : {}
  tree[first] = inner as ConfigValue
  put(inner as Record<string, ConfigValue>, rest, value)
}
