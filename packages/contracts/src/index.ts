export type * from './auth.js'
export type * from './broker.js'
export type * from './client.js'
export type * from './codec.js'
export {
  definePlugin,
  type ComponentContext,
  type ComponentType,
  type ComponentTypes,
  type NewFunc,
  type PluginConfig,
  type SharedType,
} from './component.js'
export type * from './config.js'
export {
  errorCodes,
  ServiceError,
  type ErrorCode,
  type ErrorCodeEntry,
  type ServiceErrorDetails,
  type WireError,
} from './errors.js'
export { clientStream, serverStream, twoWay, unary } from './handler.js'
export type * from './handler.js'
export type * from './logger.js'
export type * from './middleware.js'
export {
  aCount,
  aTimer,
  longestTimerMs,
  requireLimits,
  requireNumber,
  requireNumbers,
  timerMs,
  type NumberRange,
} from './numbers.js'
export { resolveOptions, type Resolved } from './options.js'
export type * from './registry.js'
export type * from './selector.js'
export type * from './server.js'
export type * from './store.js'
export type * from './tracer.js'
export type * from './transport.js'
export type * from './values.js'
