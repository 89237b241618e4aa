import type { ServiceSwapOptions, SwapReport } from 'micrograft'
import type { LoadReport, LoadShape } from './load.js'
import type { SwappedType } from './plugin-files.js'

/** What a process of the fleet is started with. */
export interface MemberInput {
  readonly role: 'greeter' | 'caller'
  /** Of the local registry. */
  readonly directory: string
  readonly middleware: string
  /** Of the greeter. */
  readonly handler: string
  readonly makeTimeoutMs: number
  /** Further options of the service. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

/** What a process is asked, with its answer. */
export interface MemberAsks {
  /** The service's address. */
  start: { readonly with: undefined; readonly gives: string }
  swap: {
    readonly with: {
      readonly type: SwappedType
      readonly target: string
      readonly options: ServiceSwapOptions
    }
    readonly gives: SwapReport
  }
  begin: { readonly with: LoadShape; readonly gives: undefined }
  end: { readonly with: undefined; readonly gives: undefined }
  /** Waits for so many more calls; gives how much failed meanwhile. */
  pass: { readonly with: number; readonly gives: number }
  memory: { readonly with: undefined; readonly gives: MemoryReading }
  /** How often each of so many messages came, in base64, by stream. */
  messages: {
    readonly with: readonly number[]
    readonly gives: Readonly<Record<string, string>>
  }
  report: { readonly with: undefined; readonly gives: MemberReport }
  latencies: { readonly with: 'begin' | 'end'; readonly gives: Latencies }
  stop: { readonly with: undefined; readonly gives: undefined }
}

export interface MemoryReading {
  /** After forced collections. */
  readonly heapUsed: number
  /** Open file descriptors; `undefined` where the system does not tell. */
  readonly descriptors: number | undefined
  /** Plugin files that are open. */
  readonly plugins: number
}

export interface MemberReport {
  readonly load: LoadReport
  readonly handled: number
  readonly doubled: number
  readonly skipped: number
  /** What the handler has counted, from version to version. */
  readonly total: number | undefined
}

/** Unary calls: when each began, since the recording did, and how long it took, in milliseconds. */
export interface Latencies {
  readonly began: readonly number[]
  readonly ms: readonly number[]
  /** Longest time between two turns of the event loop, in milliseconds. */
  readonly stallMs: number
  /** When the recording began, in milliseconds since 1970. */
  readonly at: number
}
