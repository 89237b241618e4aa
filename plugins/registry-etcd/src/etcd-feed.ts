import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Logger, RegistryEvent } from '@micrograft/contracts'
import type { NodeRecord } from '@micrograft/plugin-kit'
import type { EtcdClient } from './etcd-client.js'
import { EtcdFailure } from './etcd-error.js'
import { prefixRange, readPrefix, toEntry, type Entry, type RawEntry } from './etcd-kv.js'
import { readRecord } from './etcd-record.js'

/** etcd v3.4 API, WatchResponse. */
interface WatchResponse {
  readonly header: { readonly revision?: string; readonly cluster_id?: string }
  readonly created?: boolean
  readonly canceled?: boolean
  readonly cancel_reason?: string
  readonly compact_revision?: string
  readonly events?: readonly { readonly type?: 'DELETE'; readonly kv: RawEntry }[]
}

const shortestPauseMs = 50
const longestPauseMs = 2000

/** Follows what stands under a prefix, from one moment on, over every loss of the server. */
export class EtcdFeed implements Disposable {
  readonly #client: EtcdClient
  readonly #prefix: string
  readonly #log: Logger
  readonly #tell: (event: RegistryEvent) => void
  readonly #ended = new AbortController()
  readonly #known = new Map<string, NodeRecord>()
  #revision = 0
  #cluster = ''

  constructor(client: EtcdClient, prefix: string, log: Logger, tell: (event: RegistryEvent) => void) {
    this.#client = client
    this.#prefix = prefix
    this.#log = log
    this.#tell = tell
  }

  /** Resolves when changes from then on are told. @throws where etcd is not to be had. */
  async start(): Promise<void> {
    const { entries, revision, cluster } = await readPrefix(this.#client, this.#prefix)
    for (const entry of entries) {
      const record = this.read(entry)
      if (record) this.#known.set(entry.key, record)
    }
    this.#revision = revision
    this.#cluster = cluster
    if (!this.#ended.signal.aborted) void this.#follow()
  }

  /** `undefined` where the entry is none of go-micro's records. */
  read({ key, value }: Entry): NodeRecord | undefined {
    try {
      return readRecord(value)
    } catch (error) {
      this.#log.warn('entry ignored', { key, reason: (error as Error).message })
      return undefined
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort()
    this.#known.clear()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended
    let pauseMs = shortestPauseMs
    while (!signal.aborted) {
      let anew = false
      const onMessage = (message: unknown) => {
        anew = this.#take(message as WatchResponse)
        pauseMs = shortestPauseMs
        if (anew) throw new Error('the history is gone')
      }
      try {
        await this.#client.stream(
          '/v3/watch',
          {
            create_request: {
              ...prefixRange(this.#prefix),
              start_revision: String(this.#revision + 1),
              progress_notify: true,
            },
          },
          {
            signal,
            onMessage,
            probe: ['/v3/kv/range', { ...prefixRange(this.#prefix), limit: '1', keys_only: true }],
          },
        )
      } catch (error) {
        this.#log.debug('watch interrupted', { prefix: this.#prefix, reason: (error as Error).message })
      }
      try {
        if (anew && !signal.aborted) await this.#readAnew()
      } catch (error) {
        this.#log.debug('read failed', { prefix: this.#prefix, reason: (error as Error).message })
      }
      if (signal.aborted) return
      // All watchers of a server that comes back would come at once.
      await pause(pauseMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(
        () => undefined,
      )
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
  }

  /** Tells what a message says; `true` where it says that what happened meanwhile is not to be had any more. */
  #take({ header, created, canceled, cancel_reason, compact_revision, events = [] }: WatchResponse): boolean {
    const revision = Number(header.revision ?? 0)
    if (created) {
      // A server with other data, or with less than it had: its revisions mean nothing here.
      if (header.cluster_id !== this.#cluster || revision < this.#revision) return true
      if (!canceled) return false
    }
    if (canceled) {
      if (Number(compact_revision ?? 0) > 0) return true
      throw new EtcdFailure(cancel_reason ?? 'the watch was canceled', 1)
    }
    for (const { type, kv } of events) {
      const entry = toEntry(kv)
      this.#revision = Math.max(this.#revision, entry.revision)
      this.#change(entry.key, type === 'DELETE' ? undefined : this.read(entry))
    }
    // A message without events says how far the server has come; one with events may be the first of several.
    if (events.length === 0) this.#revision = Math.max(this.#revision, revision)
    return false
  }

  /** Tells how what is there differs from what was told. */
  async #readAnew(): Promise<void> {
    const { entries, revision, cluster } = await readPrefix(this.#client, this.#prefix)
    if (this.#ended.signal.aborted) return
    this.#revision = revision
    this.#cluster = cluster
    const there = new Set(entries.map(({ key }) => key))
    for (const key of this.#known.keys()) if (!there.has(key)) this.#change(key, undefined)
    for (const entry of entries) this.#change(entry.key, this.read(entry))
  }

  #change(key: string, record: NodeRecord | undefined): void {
    const before = this.#known.get(key)
    if (!record) {
      if (this.#known.delete(key) && before) this.#tell({ type: 'delete', service: before })
      return
    }
    if (before && isDeepStrictEqual(before, record)) return
    this.#known.set(key, record)
    this.#tell({ type: before ? 'update' : 'create', service: record })
  }
}
