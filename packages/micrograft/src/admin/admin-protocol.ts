import { ServiceError, type ComponentType } from '@micrograft/contracts'
import type { SlotReport, SwapEvent, SwapReport } from '../components/swap-options.js'
import type { ServiceSwapOptions } from '../service/swaps.js'

/** What the admin socket of a service is asked, one JSON object a line. */
export type AdminRequest = { readonly id: number } & (
  | { readonly do: 'about' }
  | { readonly do: 'slots' }
  | {
      readonly do: 'swap'
      readonly type: ComponentType
      /** A name in the catalogue, or the absolute path of a plugin file. */
      readonly target: string
      readonly options?: ServiceSwapOptions | undefined
    }
  | {
      readonly do: 'share'
      readonly type: ComponentType
      readonly share: number
      readonly name?: string | undefined
    }
  | {
      readonly do: 'rollback'
      readonly type: ComponentType
      readonly name?: string | undefined
      readonly by?: string | undefined
    }
)

/** Which node answers. */
export interface AdminAbout {
  readonly service: string
  readonly version: string
  readonly node: string
  readonly pid: number
  readonly address: string | undefined
}

export interface AdminSlots {
  readonly slots: readonly SlotReport[]
  /** What each type could be swapped to, by name. */
  readonly catalogue: Readonly<Record<string, readonly string[]>>
  /** Plugin files that are open. */
  readonly plugins: readonly { readonly name: string; readonly version: string; readonly path: string }[]
}

export interface AdminError {
  readonly code: string
  readonly message: string
}

/** An event as it is written: its error is plain data. */
export type AdminEvent = Omit<SwapEvent, 'error'> & { readonly error?: AdminError | undefined }

/** What comes back, one JSON object a line: events while the request is under way, then one result or error. */
export type AdminResponse = { readonly id: number } & (
  | { readonly event: AdminEvent }
  | { readonly result: AdminAbout | AdminSlots | SwapReport }
  | { readonly error: AdminError }
)

export function adminError(error: unknown): AdminError {
  const { code, message = ServiceError.from(error).message } = (error ?? {}) as Partial<AdminError>
  return { code: typeof code === 'string' ? code : 'internal', message }
}
