import type { ComponentType } from '@micrograft/contracts'

/** What a flag's value is. `seconds` are whole numbers, as go-micro has them for two flags. */
export type FlagKind = 'text' | 'list' | 'pairs' | 'count' | 'duration' | 'seconds'

export interface FlagDefinition {
  readonly kind: FlagKind
  readonly help: string
  /** The type of component whose names are the values. */
  readonly component?: ComponentType
}

/**
 * Every flag, by name. Its variable is `MICRO_` and the name in capitals. Names and meanings are
 * go-micro's (v2.9.1, config/cmd) where it has them.
 */
export const flagDefinitions = {
  client: { kind: 'text', component: 'client', help: 'client that calls are made with' },
  client_request_timeout: { kind: 'duration', help: 'deadline of a call, e.g. 500ms (5s)' },
  client_retries: { kind: 'count', help: 'how often a call is tried again (1)' },
  client_pool_size: { kind: 'count', help: 'most connections that a client keeps' },
  client_pool_ttl: { kind: 'duration', help: 'how long a client keeps an idle connection (1m)' },
  register_ttl: { kind: 'seconds', help: 'seconds that a node stays registered without renewal (60)' },
  register_interval: { kind: 'seconds', help: 'seconds between renewals (30)' },
  server: { kind: 'text', component: 'server', help: 'server that calls are answered with' },
  also_serve: {
    kind: 'list',
    help: 'further servers that answer beside it, separated by commas',
    component: 'server',
  },
  server_name: { kind: 'text', help: 'name of the service' },
  server_version: { kind: 'text', help: 'version of the service' },
  server_id: { kind: 'text', help: 'id of this node; a random one otherwise' },
  server_address: {
    kind: 'text',
    help: 'address to listen on, e.g. 127.0.0.1:8080 (a free port of 127.0.0.1)',
  },
  server_advertise: { kind: 'text', help: 'address to register, where others reach the node by another' },
  server_metadata: { kind: 'pairs', help: 'name=value to register with the node; may be repeated' },
  server_grace: { kind: 'duration', help: 'how long calls may take to end when the service stops (10s)' },
  broker: { kind: 'text', component: 'broker', help: 'broker for publish and subscribe' },
  broker_address: { kind: 'list', help: 'addresses of the broker, separated by commas' },
  registry: { kind: 'text', component: 'registry', help: 'registry that nodes are found in' },
  registry_address: { kind: 'list', help: 'addresses of the registry, separated by commas' },
  selector: { kind: 'text', component: 'selector', help: 'selector that chooses a node' },
  store: { kind: 'text', component: 'store', help: 'store for keys and values' },
  store_address: { kind: 'list', help: 'addresses of the store, separated by commas' },
  store_database: { kind: 'text', help: 'database of the store' },
  store_table: { kind: 'text', help: "table of the store (the service's name)" },
  transport: { kind: 'text', component: 'transport', help: 'transport between nodes' },
  transport_address: { kind: 'list', help: 'addresses of the transport, separated by commas' },
  tracer: { kind: 'text', component: 'tracer', help: 'tracer that calls are followed with' },
  tracer_address: { kind: 'list', help: 'addresses of the tracer, separated by commas' },
  auth: { kind: 'text', component: 'auth', help: 'auth that accounts are known by' },
  auth_public_key: { kind: 'text', help: 'public key of the auth, PEM in base64' },
  auth_private_key: { kind: 'text', help: 'private key of the auth, PEM in base64' },
  config: { kind: 'text', component: 'config', help: "source of the service's settings" },
  config_address: { kind: 'list', help: 'files or addresses of the settings, separated by commas' },
  logger: { kind: 'text', component: 'logger', help: 'logger that events are written with' },
  log_level: { kind: 'text', help: 'trace, debug, info, warn or error (info)' },
  middleware: {
    kind: 'list',
    help: 'middleware around calls and messages, the outermost first',
    component: 'middleware',
  },
  plugin: { kind: 'list', help: 'plugin files to load, separated by commas; folders and patterns too' },
  plugin_dir: { kind: 'text', help: 'folder of plugin files that is watched: a newer version is taken' },
  plugin_errors: { kind: 'text', help: 'stop or warn, where a plugin fails to load (stop)' },
  config_file: { kind: 'text', help: 'JSON file with values of these flags by name' },
} as const

export type FlagName = keyof typeof flagDefinitions

export const flagNames: readonly FlagName[] = Object.keys(flagDefinitions) as FlagName[]

export function definitionOf(name: FlagName): FlagDefinition {
  return flagDefinitions[name]
}

export function variableOf(name: FlagName): string {
  return `MICRO_${name.toUpperCase()}`
}
