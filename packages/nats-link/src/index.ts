export { natsError } from './nats-error.js'
export { NatsLink, type NatsLinkContext, type NatsSendOptions } from './nats-link.js'
export { connectionDefaults, type NatsConnectionOptions, type NatsTlsOptions } from './nats-options.js'
export { within } from './waits.js'
