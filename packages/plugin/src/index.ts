export {
  PluginError,
  pluginErrorCodes,
  type PluginErrorCode,
  type PluginErrorDetails,
  type PluginProblem,
} from './errors.js'
export type { CodeDigest, Manifest, MapDigest } from './format/manifest.js'
export { generateKeys, type KeyPair } from './format/keys.js'
export type { SignaturePolicy } from './format/signature.js'
export { inspect, type InspectOptions, type Inspection } from './inspect.js'
export type { CodeCacheOptions } from './load/code-cache.js'
export type { Leftover } from './load/leftover.js'
export { defaultPlatform, open } from './default-platform.js'
export type { PlatformEvents } from './platform/events.js'
export type { Handle } from './platform/handle.js'
export { installedPackage, type HostPackage } from './platform/host-package.js'
export type { HostOptions } from './platform/host.js'
export { createPlatform, type Platform, type PlatformOptions } from './platform/platform.js'
export type { CloseReport, Plugin } from './platform/plugin.js'
export type { Switch, SwitchReason } from './platform/registry.js'
export type { OpenOptions, Trust } from './platform/trust.js'
export type { Watcher, WatchOptions } from './platform/watch.js'
export { pluginSuffix } from './plugin-suffix.js'
export { register, type Register, type Registration } from './register.js'
export { compareVersionTexts } from './version/preferred.js'
