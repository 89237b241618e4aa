import {
  etcd,
  mariadb,
  mosquitto,
  natsServer,
  postgres,
  rabbitmq,
  redisServer,
  type ServerKind,
} from '@micrograft/test-support'

/** Through a plugin of this project, or through the engine's own client library. */
export type How = 'plugin' | 'library'

/** One engine in one role. */
export interface Engine {
  /** Which of the libraries, e.g. `jetstream`. */
  readonly key: string
  readonly label: string
  /** What was called through the library. */
  readonly library: string
  /** Folder of the plugin, e.g. `broker-nats`. */
  readonly plugin: string
  readonly options?: Readonly<Record<string, unknown>> | undefined
  readonly server: ServerKind
}

const nats = natsServer()
const redis = redisServer()

export const brokers: readonly Engine[] = [
  {
    key: 'nats',
    label: 'NATS',
    library: '@nats-io/transport-node',
    plugin: 'broker-nats',
    server: nats,
  },
  {
    key: 'jetstream',
    label: 'NATS, JetStream',
    library: '@nats-io/jetstream',
    plugin: 'broker-nats',
    options: { jetstream: true },
    server: nats,
  },
  { key: 'redis', label: 'Redis', library: 'redis', plugin: 'broker-redis', server: redis },
  {
    key: 'rabbitmq',
    label: 'RabbitMQ',
    library: 'rabbitmq-client',
    plugin: 'broker-rabbitmq',
    server: rabbitmq,
  },
  { key: 'mqtt', label: 'Mosquitto, QoS 1', library: 'mqtt', plugin: 'broker-mqtt', server: mosquitto },
]

export const stores: readonly Engine[] = [
  { key: 'nats', label: 'NATS, key-value', library: '@nats-io/kv', plugin: 'store-nats', server: nats },
  { key: 'redis', label: 'Redis', library: 'redis', plugin: 'store-redis', server: redis },
  { key: 'postgres', label: 'PostgreSQL', library: 'pg', plugin: 'store-postgres', server: postgres },
  { key: 'mysql', label: 'MariaDB', library: 'mysql2', plugin: 'store-mysql', server: mariadb },
]

/** Those that stand on a server; the local one is beside them. */
export const registries: readonly Omit<Engine, 'library'>[] = [
  { key: 'etcd', label: 'etcd', plugin: 'registry-etcd', server: etcd },
  { key: 'nats', label: 'NATS', plugin: 'registry-nats', server: nats },
  { key: 'redis', label: 'Redis', plugin: 'registry-redis', server: redis },
]
