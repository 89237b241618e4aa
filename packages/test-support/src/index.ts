export { complyPlugin, type PluginSubject } from './comply-plugin.js'
export { FaultyLink } from './faulty-link.js'
export { freePort } from './free-port.js'
export {
  missing,
  ServerProcess,
  serverFor,
  type ServerKind,
  type ServerPlace,
  type TestServer,
} from './server-process.js'
export { ownServer, usableServer, unusable } from './usable-server.js'
export { etcd } from './servers/etcd.js'
export { mariadb } from './servers/mariadb.js'
export { postgres } from './servers/postgres.js'
export { mosquitto, mosquittoPassword } from './servers/mosquitto.js'
export { rabbitmq, rabbitmqctl } from './servers/rabbitmq.js'
export { natsServer, type NatsServerSettings } from './servers/nats.js'
export { natsLogin, type NatsLogin } from './servers/nats-login.js'
export { redisServer } from './servers/redis.js'
export { redisCommand } from './servers/redis-command.js'
export { SmallDisk } from './small-disk.js'
export { TlsFront } from './tls-front.js'
export { certificate, type Certificate } from './certificate.js'
export { impossibleSqlOptions } from './sql-options.js'
export { storeFaults, type StoreFaults } from './store-faults.js'
