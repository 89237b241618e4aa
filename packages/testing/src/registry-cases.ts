import type { Registry } from '@micrograft/contracts'
import type { Case } from './case.js'
import { abortCases } from './registry/abort-cases.js'
import { argumentCases } from './registry/argument-cases.js'
import { deregisterCases } from './registry/deregister-cases.js'
import { disposeCases } from './registry/dispose-cases.js'
import { expiryCases } from './registry/expiry-cases.js'
import { recordCases } from './registry/record-cases.js'
import { sharingCases } from './registry/sharing-cases.js'
import { watchCases } from './registry/watch-cases.js'

/** What the cases of registries are run on: a registry that knows no node yet, and a backend that others can open too. */
export interface RegistrySubject extends AsyncDisposable {
  readonly registry: Registry
  /** Opens another registry on the same backend. */
  other(): Promise<Registry>
}

/** A registry and those that were opened beside it, disposed together. */
export function registrySubject(
  registry: Registry,
  open: () => Registry | Promise<Registry>,
): RegistrySubject {
  const others: Registry[] = []
  return {
    registry,
    async other() {
      const opened = await open()
      others.push(opened)
      return opened
    },
    async [Symbol.asyncDispose]() {
      for (const each of [...others, registry]) await each[Symbol.asyncDispose]()
    },
  }
}

/** What every registry promises. */
export const registryCases: readonly Case<RegistrySubject>[] = [
  ...recordCases,
  ...deregisterCases,
  ...sharingCases,
  ...expiryCases,
  ...watchCases,
  ...abortCases,
  ...argumentCases,
  ...disposeCases,
]
