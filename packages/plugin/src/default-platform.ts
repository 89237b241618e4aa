import type { Plugin } from './platform/plugin.js'
import { createPlatform, type Platform } from './platform/platform.js'
import type { OpenOptions } from './platform/trust.js'

let shared: Platform | undefined

/**
 * The platform that `open` uses, made at the first call: one for the whole process, with default
 * options. A program that wants others, or several, makes its own with `createPlatform`.
 */
export function defaultPlatform(): Platform {
  shared ??= createPlatform()
  return shared
}

/** Opens a plugin file on the process's own platform; see `Platform.open`. */
export function open<T extends object = Record<string, unknown>>(
  path: string | URL,
  options?: OpenOptions,
): Promise<Plugin<T>> {
  return defaultPlatform().open<T>(path, options)
}
