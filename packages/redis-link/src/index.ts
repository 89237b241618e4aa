export { asBytes, asText, type ConnectionName, type RedisClient } from './redis-connection.js'
export { RedisLink, type LinkOptions, type RunOptions } from './redis-link.js'
export {
  invalidOption,
  redisDefaults,
  redisEndpoints,
  type RedisDefaults,
  type RedisEndpoint,
  type RedisOptions,
  type RedisTlsOptions,
} from './redis-options.js'
