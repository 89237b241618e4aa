import { test } from 'node:test'
import type { ComponentContext, ComponentType, ComponentTypes } from '@micrograft/contracts'
import { comply, componentContext, type Case } from '@micrograft/testing'

/** How to make a built-in component, and what its cases are run on. */
export interface BuiltIn<K extends ComponentType, S> {
  readonly type: K
  /** What a flag chooses it by, e.g. `memory`. */
  readonly name: string
  /** Its source below `src`, without the ending, e.g. `store/memory-store`, and the factory that it exports. */
  readonly file: string
  readonly factory: string
  readonly options?: () => unknown
  readonly context?: () => ComponentContext
  /** What the cases take, made of the component; disposing it disposes the component. @default the component itself */
  readonly subject?: (component: ComponentTypes[K]) => S | Promise<S>
  readonly skip?: Readonly<Record<string, string>> | undefined
}

/** Runs the cases of a contract on a built-in. */
export function complyEveryWay<K extends ComponentType, S extends Partial<AsyncDisposable>>(
  label: string,
  cases: readonly Case<S>[],
  builtIn: BuiltIn<K, S>,
): void {
  const { file, factory, options, context, subject, skip } = builtIn
  comply(test, label, cases, {
    skip,
    create: async () => {
      const module = (await import(new URL(`../../dist/${file}.js`, import.meta.url).href)) as Record<string, never>
      const make = module[factory] as unknown as (options: unknown, context: ComponentContext) => Promise<ComponentTypes[K]>
      const component = await make(options?.(), context?.() ?? componentContext())
      return subject ? subject(component) : (component as unknown as S)
    },
  })
}
