import type { ComponentType, PluginConfig } from '@micrograft/contracts'

/** Which component of a type a service gets: a name in its catalogue, or a plugin that was imported; and its options. */
export type Choice<K extends ComponentType> =
  | string
  | PluginConfig<K>
  | { readonly use?: string | PluginConfig<K> | undefined; readonly options?: object | undefined }

export interface ResolvedChoice {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Whether somebody asked for it: what was asked for must work before the service takes a request. */
  readonly asked: boolean
}

/** The plugin that a choice brings with it, if it does. */
export function importedPlugin<K extends ComponentType>(
  choice: Choice<K> | undefined,
): PluginConfig<K> | undefined {
  if (choice === undefined || typeof choice === 'string') return undefined
  if ('newFunc' in choice) return choice
  return typeof choice.use === 'object' ? choice.use : undefined
}

export function resolveChoice<K extends ComponentType>(
  choice: Choice<K> | undefined,
  fallback: string,
): ResolvedChoice {
  if (choice === undefined) return { name: fallback, options: {}, asked: false }
  if (typeof choice === 'string') return { name: choice, options: {}, asked: true }
  if ('newFunc' in choice) return { name: choice.name, options: {}, asked: true }
  const { use = fallback, options = {} } = choice
  return { name: typeof use === 'string' ? use : use.name, options: { ...options }, asked: true }
}
