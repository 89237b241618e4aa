import { EtcdFailure, noEtcd } from './etcd-error.js'
import type { EtcdClient } from './etcd-client.js'

/** An entry of etcd. Numbers of 64 bits are texts in its JSON; revisions stay well below 2^53. */
export interface Entry {
  readonly key: string
  readonly value: string
  readonly revision: number
}

export interface Put {
  readonly key: string
  readonly value: string
  readonly lease: string | undefined
}

export interface Snapshot {
  readonly entries: readonly Entry[]
  readonly revision: number
  readonly cluster: string
}

export interface RawEntry {
  readonly key: string
  readonly value?: string
  readonly mod_revision?: string
}

interface Header {
  readonly revision?: string
  readonly cluster_id?: string
}

/** Operations of one transaction: etcd takes 128, and requests of 1.5 MiB. */
const maxOperations = 100
const maxRequestBytes = 1_000_000

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** `key` and `range_end` of all keys that begin with `prefix`. */
export function prefixRange(prefix: string): { readonly key: string; readonly range_end: string } {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end[end.length - 1] as number) + 1
  return { key: base64(prefix), range_end: end.toString('base64') }
}

export function toEntry({ key, value = '', mod_revision = '0' }: RawEntry): Entry {
  const text = (bytes: string) => Buffer.from(bytes, 'base64').toString()
  return { key: text(key), value: text(value), revision: Number(mod_revision) }
}

/** @throws `protocol` where they are none. */
function toEntries(kvs: readonly RawEntry[] = []): readonly Entry[] {
  try {
    return kvs.map(toEntry)
  } catch (cause) {
    throw noEtcd(cause)
  }
}

/** Everything under a prefix, as it is at one moment, and not before any write that was answered. */
export async function readPrefix(client: EtcdClient, prefix: string): Promise<Snapshot> {
  const answer = await client.call<{ header: Header; kvs?: RawEntry[] }>('/v3/kv/range', prefixRange(prefix))
  return {
    entries: toEntries(answer.kvs),
    revision: Number(answer.header.revision ?? 0),
    cluster: answer.header.cluster_id ?? '',
  }
}

/** The entries that there are of these keys. */
export async function read(client: EtcdClient, keys: readonly string[]): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for (const part of chunks(keys, (key) => key.length)) {
    const success = part.map((key) => ({ request_range: { key: base64(key) } }))
    const { responses = [] } = await client.call<{
      responses?: { response_range?: { kvs?: RawEntry[] } }[]
    }>('/v3/kv/txn', { success })
    for (const { response_range } of responses) entries.push(...toEntries(response_range?.kvs))
  }
  return entries
}

/** Writes entries of different keys, as many at a time as etcd takes. @param onWritten Told of each part. */
export async function write(
  client: EtcdClient,
  puts: readonly Put[],
  onWritten: (part: readonly Put[], revision: number) => void,
): Promise<void> {
  for (const part of chunks(puts, ({ key, value }) => key.length + value.length * 2)) {
    const success = part.map(({ key, value, lease }) => ({
      request_put: { key: base64(key), value: base64(value), ...(lease === undefined ? {} : { lease }) },
    }))
    const { header } = await client.call<{ header: Header }>('/v3/kv/txn', { success })
    onWritten(part, Number(header.revision))
  }
}

/** Takes entries out that are as they were read; `false` where one is not, and then none. */
export async function remove(client: EtcdClient, entries: readonly Entry[]): Promise<boolean> {
  const { succeeded = false } = await client.call<{ succeeded?: boolean }>('/v3/kv/txn', {
    compare: entries.map(({ key, revision }) => ({
      key: base64(key),
      target: 'MOD',
      result: 'EQUAL',
      mod_revision: String(revision),
    })),
    success: entries.map(({ key }) => ({ request_delete_range: { key: base64(key) } })),
  })
  return succeeded
}

/** A new lease. @param ttl In seconds. */
export async function grant(client: EtcdClient, ttl: number): Promise<string> {
  return (await client.call<{ ID: string }>('/v3/lease/grant', { TTL: String(ttl) })).ID
}

/** Renews a lease; whether it is still there. */
export async function keepAlive(client: EtcdClient, id: string): Promise<boolean> {
  const { result } = await client.call<{ result?: { TTL?: string } }>('/v3/lease/keepalive', { ID: id })
  return Number(result?.TTL ?? 0) > 0
}

export async function revoke(client: EtcdClient, id: string): Promise<void> {
  await client.call('/v3/lease/revoke', { ID: id })
}

export function leaseIsGone(error: unknown): boolean {
  const { cause } = error as { cause?: unknown }
  return cause instanceof EtcdFailure && cause.leaseIsGone
}

/** Parts that fit a request each. */
export function* chunks<T>(all: readonly T[], bytesOf: (each: T) => number): Generator<readonly T[]> {
  let part: T[] = []
  let bytes = 0
  for (const each of all) {
    const size = bytesOf(each)
    if (part.length === maxOperations || (part.length > 0 && bytes + size > maxRequestBytes)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(each)
    bytes += size
  }
  if (part.length > 0) yield part
}
