import type { Logger } from '@micrograft/contracts'
import { createClient, RESP_TYPES } from 'redis'
import { redisError } from './redis-error.js'
import type { RedisEndpoint } from './redis-options.js'

/** What is used of the library's client. */
export interface RedisClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'connect' | 'error' | 'terminated' | 'end', listener: (error?: unknown) => void): unknown
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
}

/** For commands whose reply holds bytes. Maps come as they do in RESP 2: name, value, name, value. */
export const asBytes: object = {
  typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.MAP]: Array },
}

/** For commands whose reply is text. */
export const asText: object = { typeMapping: { [RESP_TYPES.MAP]: Array } }

export interface ConnectOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Whether the server may be a replica; one that is refuses writes. */
  readonly anyRole: boolean
  /** The connection before, as the server names it. */
  readonly previous: ConnectionName | undefined
  readonly prepare: ((client: RedisClient) => Promise<void>) | undefined
  readonly log: Logger
}

/** What tells one connection of a server from all others: its id and its address, as filters of CLIENT KILL. */
export type ConnectionName = readonly string[]

export interface Connected {
  readonly client: RedisClient
  readonly name: ConnectionName | undefined
  /** Resolves when the connection is lost, to the reason. */
  readonly gone: Promise<unknown>
}

/** One try to connect. @throws what `redisError` makes of its failure; nothing is left open then. */
export async function connectTo(
  { label, socket, ...login }: RedisEndpoint,
  { timeoutMs, signal, anyRole, previous, prepare, log }: ConnectOptions,
): Promise<Connected> {
  const client = createClient({
    ...login,
    socket: { ...socket, connectTimeout: timeoutMs, reconnectStrategy: false },
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    // Who calls has one, which does not end where the command is written.
    commandOptions: { timeout: 0 },
  }) as RedisClient
  let lost: unknown
  const gone = new Promise<unknown>((resolve) => {
    client.on('error', (error) => (lost = error))
    client.on('terminated', (error) => resolve(error ?? lost))
    client.on('end', () => resolve(lost ?? new Error('the connection was closed')))
  })
  let givenUp = false
  const stop = () => {
    givenUp = true
    client.destroy()
  }
  // The library forgets a socket that is still being connected when it is told to destroy it.
  client.on('connect', () => givenUp && client.destroy())
  const timer = setTimeout(() => {
    lost ??= new Error(`no connection within ${timeoutMs} ms`)
    stop()
  }, timeoutMs)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const ready = async () => {
      await client.connect()
      if (!anyRole) await requirePrimary(client)
      const name = await succeed(client, previous, log)
      await prepare?.(client)
      return name
    }
    const failed = gone.then((error) => {
      throw error
    })
    return { client, gone, name: await Promise.race([ready(), failed]) }
  } catch (error) {
    stop()
    throw redisError(error, label)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

async function requirePrimary(client: RedisClient): Promise<void> {
  const role = await client.sendCommand(['ROLE'], asText).catch((error: unknown) => {
    // Who may not ask is told by the first write.
    if (error instanceof Error && error.message.startsWith('NOPERM')) return ['master']
    throw error
  })
  if (Array.isArray(role) && role[0] !== 'master') throw new Error('it is a replica')
}

/**
 * What was sent on the connection before may still lie unread at a server that stood still, and would be
 * done after what is sent on this one: an old write over a new one. So the server is told to end it.
 */
async function succeed(
  client: RedisClient,
  previous: ConnectionName | undefined,
  log: Logger,
): Promise<ConnectionName | undefined> {
  try {
    const info = String(await client.sendCommand(['CLIENT', 'INFO'], asText))
    if (previous) await client.sendCommand(['CLIENT', 'KILL', ...previous], asText)
    const [, id, address] = /\bid=(\d+) addr=(\S+)/.exec(info) ?? []
    // Both: a server that was started again counts from 1.
    return id && address ? ['ID', id, 'ADDR', address] : undefined
  } catch (error) {
    if (!(error instanceof Error) || !/^(NOPERM|ERR)/.test(error.message)) throw error
    log.warn('cannot end the connection before', { error })
    return undefined
  }
}
