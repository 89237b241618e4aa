import { createHash } from 'node:crypto'
import { ServiceError } from '@micrograft/contracts'
import { nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'
import type { ProcessIdentity } from './process-identity.js'

/** What a file of the local registry says. It holds from when the file was last modified. */
export interface NodeFile {
  readonly record: NodeRecord
  /** `Infinity` until somebody removes it. */
  readonly ttlMs: number
  /** Whose node it is; `undefined` where that was not told. */
  readonly process: ProcessIdentity | undefined
}

const format = 1

/** Safe for any id, and the same for the same node. */
export function nodeFileName(service: string, id: string): string {
  return `${createHash('sha256').update(`${service}\0${id}`).digest('hex').slice(0, 40)}.json`
}

export function isNodeFileName(name: string): boolean {
  return /^[0-9a-f]{40}\.json$/.test(name)
}

export function writeNodeFile({ record, ttlMs, process }: NodeFile): string {
  return JSON.stringify({ format, ttlMs: ttlMs === Infinity ? null : ttlMs, process, service: record })
}

/** @throws `bad-request` where the text is none of this format or belongs to another file. */
export function readNodeFile(name: string, text: string): NodeFile {
  const value = parse(text)
  const { ttlMs } = value
  if (value['format'] !== format) throw wrong(`its format is not ${format}`)
  if (ttlMs !== null && !(typeof ttlMs === 'number' && ttlMs > 0)) throw wrong('its time to live is none')
  const [record, ...more] = nodeRecords(value['service'])
  if (!record || more.length > 0) throw wrong('it does not hold one node')
  if (nodeFileName(record.name, record.nodes[0].id) !== name) throw wrong('it has the name of another node')
  return { record, ttlMs: ttlMs ?? Infinity, process: processOf(value['process']) }
}

function parse(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrong('it is no JSON')
  }
  if (typeof value !== 'object' || value === null) throw wrong('it holds no object')
  return value as Record<string, unknown>
}

function processOf(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, startedAt, boot, namespace } = value as Record<string, unknown>
  // 0 and negative numbers stand for groups of processes.
  if (!Number.isSafeInteger(pid) || (pid as number) <= 0) throw wrong('its process has no number')
  for (const each of [startedAt, boot, namespace])
    if (typeof each !== 'string') throw wrong('its process is not told')
  return {
    pid: pid as number,
    startedAt: startedAt as string,
    boot: boot as string,
    namespace: namespace as string,
  }
}

function wrong(message: string): ServiceError {
  return new ServiceError('bad-request', message)
}
