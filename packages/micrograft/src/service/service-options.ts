import { randomUUID } from 'node:crypto'
import {
  longestTimerMs,
  requireNumber,
  ServiceError,
  type ComponentType,
  type Middleware,
  type PluginConfig,
  type SharedType,
} from '@micrograft/contracts'
import type { OpenOptions } from '@micrograft/plugin'
import type { Choice } from '../components/choice.js'
import type { Flags } from '../flags/parse.js'

/** What a service is made of, in code. Flags, environment and config file count before it. */
export interface ServiceOptions extends Choices {
  /** What others find it by. @default what its handlers say; it has none without */
  readonly name?: string | undefined
  /** @default that of its handlers' plugin, or `latest` without one */
  readonly version?: string | undefined
  /** Tells this node from the others of the service. @default a random one */
  readonly id?: string | undefined
  /** What is registered with the node. @default none */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Address to listen on. @default a free port of 127.0.0.1, or what the transport takes */
  readonly address?: string | undefined
  /** Address to register, where others reach the node by another. @default the one listened on */
  readonly advertise?: string | undefined
  /** Plugins that were imported, and plugin files to load. @default none */
  readonly plugins?: readonly (PluginConfig | string)[] | undefined
  /** What a plugin file that fails to load means: the service does not start, or a warning. @default `stop` */
  readonly pluginErrors?: 'stop' | 'warn' | undefined
  /** Which plugin files are taken. @default any */
  readonly pluginTrust?: OpenOptions['trust']
  /** The outermost first; a name is that of a plugin. @default none */
  readonly middleware?: readonly (Middleware | string)[] | undefined
  /** Endpoints of plugins of type handler: plugin files, names in the catalogue, or imported plugins. @default none */
  readonly handlers?: readonly (PluginConfig<'handler'> | string)[] | undefined
  /** Further servers that answer beside the service's own, each with a node of its own in the registry. @default none */
  readonly alsoServe?: readonly string[] | undefined
  /** Folder of plugin files that is watched: what is in it is loaded, and a newer version that appears is taken. @default none */
  readonly pluginDir?: string | undefined
  /**
   * Whether the service can be asked for swaps by the command `micrograft`, on a socket that only its
   * user can open; a path is that socket's. @default true where `run` runs it
   */
  readonly admin?: boolean | string | undefined
  /** Deadline of a call that names none, in milliseconds. @default 5000 */
  readonly callTimeoutMs?: number | undefined
  /** How often a call that does not say is tried again. @default 1 */
  readonly callRetries?: number | undefined
  /**
   * Whether a unary call of the service to itself stays in the process: the handler gets the very value
   * that the caller gave, and the caller the very value that it returns, as between two functions. Else
   * it goes to any node of the service, as copies that the codec makes. @default true
   */
  readonly preferLocal?: boolean | undefined
  /** In milliseconds. @default 60_000 */
  readonly registerTtlMs?: number | undefined
  /** In milliseconds; 0 does not register again. @default 30_000, and at most half of the time to live */
  readonly registerIntervalMs?: number | undefined
  /** How long calls may take to end when the service stops, in milliseconds. @default 10_000 */
  readonly graceMs?: number | undefined
  /** Longest wait for a component to be made, and for one that goes to be disposed, in milliseconds. @default 10_000 */
  readonly makeTimeoutMs?: number | undefined
}

type Choices = { readonly [K in SharedType]?: Choice<K> | undefined }

/** What each type is where nobody chose. */
export const defaultChoices: Readonly<Record<SharedType, string>> = {
  auth: 'noop',
  broker: 'http',
  client: 'rpc',
  config: 'env',
  logger: 'console',
  registry: 'local',
  selector: 'registry',
  server: 'rpc',
  store: 'memory',
  tracer: 'noop',
  transport: 'tcp',
}

/** Where a server or client of this name speaks over another transport than the default one: go-micro's are found at http. */
export function transportOf(name: string): string | undefined {
  return name === 'mucp' ? 'http' : undefined
}

export const sharedTypes: readonly SharedType[] = Object.keys(defaultChoices) as SharedType[]

/** The name and settings of a service, complete. */
export interface Settings {
  /** Empty until its handlers have said it. */
  name: string
  /** Empty where its handlers' version is its own. */
  readonly version: string
  readonly id: string
  readonly metadata: Readonly<Record<string, string>>
  readonly address: string
  readonly advertise: string | undefined
  readonly pluginErrors: 'stop' | 'warn'
  readonly callTimeoutMs: number
  readonly callRetries: number
  readonly preferLocal: boolean
  readonly registerTtlMs: number
  readonly registerIntervalMs: number
  readonly graceMs: number
  readonly makeTimeoutMs: number
  readonly alsoServe: readonly string[]
  readonly pluginDir: string | undefined
}

const settingNames = [
  'name',
  'version',
  'id',
  'metadata',
  'address',
  'advertise',
  'plugins',
  'pluginErrors',
  'pluginTrust',
  'middleware',
  'handlers',
  'alsoServe',
  'pluginDir',
  'admin',
  'callTimeoutMs',
  'callRetries',
  'preferLocal',
  'registerTtlMs',
  'registerIntervalMs',
  'graceMs',
  'makeTimeoutMs',
]

/** What the numbers may be; times that a timer waits for are no longer than it can. */
const ranges = {
  callTimeoutMs: { min: 0, max: Infinity },
  callRetries: { min: 0, isWhole: true },
  registerTtlMs: { min: 1 },
  registerIntervalMs: { min: 0, max: longestTimerMs },
  graceMs: { min: 0, max: longestTimerMs },
  makeTimeoutMs: { min: 1, max: longestTimerMs },
} as const

const known: ReadonlySet<string> = new Set([...sharedTypes, ...settingNames])

/** @throws `invalid-option` for an unknown option or a name that cannot name a service. */
export function checkOptions(options: ServiceOptions): void {
  for (const name of Object.keys(options)) {
    if (!known.has(name))
      throw new ServiceError(
        'invalid-option',
        `the options of a service have no ${JSON.stringify(name)}; there are ${[...known].join(', ')}`,
      )
  }
}

/** @throws `invalid-option` */
export function checkName(name: unknown): void {
  if (typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) return
  throw new ServiceError(
    'invalid-option',
    `${JSON.stringify(name)} cannot name a service; use letters, digits, ".", "_" and "-"`,
  )
}

export function settle(options: ServiceOptions, flags: Flags, id: string = randomUUID()): Settings {
  const name = flags.server_name ?? options.name ?? ''
  if (name !== '' || !options.handlers?.length) checkName(name)
  const pluginErrors = flags.plugin_errors ?? options.pluginErrors ?? 'stop'
  if (pluginErrors !== 'stop' && pluginErrors !== 'warn') {
    throw new ServiceError(
      'invalid-option',
      `plugin_errors is ${JSON.stringify(pluginErrors)}; it is stop or warn`,
    )
  }
  const levels = ['trace', 'debug', 'info', 'warn', 'error']
  if (flags.log_level !== undefined && !levels.includes(flags.log_level)) {
    throw new ServiceError(
      'invalid-option',
      `log_level is ${JSON.stringify(flags.log_level)}; it is one of ${levels.join(', ')}`,
    )
  }
  const numbers = {
    callTimeoutMs: flags.client_request_timeout ?? options.callTimeoutMs ?? 5000,
    callRetries: flags.client_retries ?? options.callRetries ?? 1,
    registerTtlMs: flags.register_ttl ?? options.registerTtlMs ?? 60_000,
    registerIntervalMs: flags.register_interval ?? options.registerIntervalMs ?? 30_000,
    graceMs: flags.server_grace ?? options.graceMs ?? 10_000,
    makeTimeoutMs: options.makeTimeoutMs ?? 10_000,
  }
  for (const [option, range] of Object.entries(ranges))
    requireNumber(`${option} of a service`, numbers[option as keyof typeof ranges], range)
  return {
    ...numbers,
    name,
    version: flags.server_version ?? options.version ?? (options.handlers?.length ? '' : 'latest'),
    id: flags.server_id ?? options.id ?? id,
    metadata: flags.server_metadata ?? options.metadata ?? {},
    address: flags.server_address ?? options.address ?? '',
    advertise: flags.server_advertise ?? options.advertise,
    pluginErrors,
    preferLocal: options.preferLocal ?? true,
    registerIntervalMs: Math.min(numbers.registerIntervalMs, numbers.registerTtlMs / 2),
    alsoServe: flags.also_serve ?? options.alsoServe ?? [],
    pluginDir: flags.plugin_dir ?? options.pluginDir,
  }
}

/** Flags that are options of a component: `--broker_address` is `addresses` of the broker. */
export function flagOptions(type: ComponentType, flags: Flags): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  const address = flags[`${type}_address` as 'broker_address']
  if (address !== undefined && type !== 'server') found['addresses'] = address
  if (type === 'store')
    Object.assign(
      found,
      flags.store_database && { database: flags.store_database },
      flags.store_table && { table: flags.store_table },
    )
  if (type === 'auth')
    Object.assign(
      found,
      flags.auth_public_key && { publicKey: flags.auth_public_key },
      flags.auth_private_key && { privateKey: flags.auth_private_key },
    )
  if (type === 'logger' && flags.log_level) found['level'] = flags.log_level
  if (type === 'client')
    Object.assign(
      found,
      flags.client_pool_size && { connections: flags.client_pool_size },
      flags.client_pool_ttl && { idleMs: flags.client_pool_ttl },
    )
  return found
}
