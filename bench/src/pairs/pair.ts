import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Payload } from './adapter.js'
import type { Command } from './client-child.js'
import type { Load } from './load.js'
import type { Surroundings } from './peers.js'
import { Piped, type Program } from './piped.js'
import type { Published } from './publish.js'
import type { Streamed } from './read-stream.js'
import type { Usage } from './usage.js'
import type { Variant } from './variants.js'

/** A load, and what both sides used for it. */
export interface PairLoad extends Load {
  /** Microseconds of processor time for each call. `undefined` where the system does not tell. */
  readonly clientCpuUs: number | undefined
  readonly serverCpuUs: number | undefined
}

export interface PairMemory {
  readonly client: Usage | undefined
  readonly server: Usage | undefined
}

export interface PairOptions {
  /** For what the processes write. */
  readonly folder: string
  readonly around: Surroundings
  /** What an endless stream is made of. @default a payload of one call */
  readonly message?: Payload | undefined
}

const serverChild = new URL('server-child.js', import.meta.url)
const clientChild = new URL('client-child.js', import.meta.url)

/** A server and a client of one variant, each in a process of its own. */
export class Pair implements AsyncDisposable {
  readonly #server: Piped
  readonly #client: Piped

  private constructor(server: Piped, client: Piped) {
    this.#server = server
    this.#client = client
  }

  /** @param serving Called when the server is there, before the client is started. */
  static async start(variant: Variant, options: PairOptions, serving?: () => void): Promise<Pair> {
    const folder = await mkdtemp(join(options.folder, 'pair-'))
    const env = { XDG_RUNTIME_DIR: folder, TMPDIR: folder, HOME: folder }
    const server = await startServer(variant, options, env)
    serving?.()
    let client: Piped | undefined
    try {
      client = new Piped(`${variant.label}, client`, {
        ...programOf(variant, 'client', options, { address: server.address }),
        env,
      })
      await client.line()
    } catch (error) {
      await client?.[Symbol.asyncDispose]()
      await server.piped[Symbol.asyncDispose]()
      throw error
    }
    const known = client
    server.piped.onLine = (count) => known.send({ kind: 'received', count })
    return new Pair(server.piped, client)
  }

  async load(payload: Payload, inFlight: number, ms: number): Promise<PairLoad> {
    const before = this.memory
    const load = await this.#ask<Load>({ kind: 'calls', payload, inFlight, ms })
    const after = this.memory
    const perCall = (side: 'client' | 'server') => {
      const [from, to] = [before[side], after[side]]
      return from && to ? ((to.cpuMs - from.cpuMs) * 1000) / load.calls : undefined
    }
    return { ...load, clientCpuUs: perCall('client'), serverCpuUs: perCall('server') }
  }

  stream(ms: number, given: { readonly warmUpMs?: number; readonly pauseMs?: number }): Promise<Streamed> {
    const { warmUpMs = 0, pauseMs = 0 } = given
    return this.#ask({ kind: 'stream', ms, warmUpMs, pauseMs })
  }

  events(payload: Payload, ms: number): Promise<Published> {
    return this.#ask({ kind: 'events', payload, ms })
  }

  get memory(): PairMemory {
    return { client: this.#client.usage, server: this.#server.usage }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
  }

  #ask<T>(command: Command & { readonly ms: number }): Promise<T> {
    this.#client.send(command)
    return this.#client.line<T>(command.ms * 2)
  }
}

async function startServer(
  variant: Variant,
  options: PairOptions,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly piped: Piped; readonly address: string }> {
  const message = options.message ?? { n: 1, name: '', text: '' }
  const piped = new Piped(`${variant.label}, server`, {
    ...programOf(variant, 'server', options, { message }),
    env,
  })
  try {
    return { piped, address: await piped.line<string>() }
  } catch (error) {
    await piped[Symbol.asyncDispose]()
    throw error
  }
}

function programOf(
  { adapter, format, settings, nats }: Variant,
  side: 'server' | 'client',
  { around }: PairOptions,
  more: { readonly address?: string; readonly message?: Payload },
): Program {
  if (!(adapter instanceof URL)) {
    if (around.go === undefined) throw new Error('Go is not installed')
    return { command: around.go, args: [side, adapter.go, ...(more.address ? [more.address] : [])] }
  }
  const options = { format, settings, nats: nats ? around.nats : undefined, ...more }
  const script = fileURLToPath(side === 'server' ? serverChild : clientChild)
  const flags = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []
  return { command: process.execPath, args: [...flags, script, adapter.href, JSON.stringify(options)] }
}
