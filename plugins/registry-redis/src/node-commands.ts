import { randomUUID } from 'node:crypto'
import type { CallOptions, Logger } from '@micrograft/contracts'
import { nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'
import { asText, type RedisLink, type RunOptions } from '@micrograft/redis-link'
import type { Revision, Snapshot } from './node-view.js'
import type { OwnNode } from './own-nodes.js'
import {
  deregisterScript,
  disownScript,
  getScript,
  listScript,
  registerScript,
  stateScript,
} from './registry-scripts.js'

/** Longer than any service lives. */
const longestTtlMs = 1e14

/** What the server is asked to do with nodes, one script each. */
export class NodeCommands {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #log: Logger
  readonly #onAnswer: (state: Revision) => void
  readonly #owner = randomUUID()

  /** @param onAnswer Told of each answer, in their order. */
  constructor(link: RedisLink, prefix: string, log: Logger, onAnswer: (state: Revision) => void) {
    this.#link = link
    this.#prefix = prefix
    this.#log = log
    this.#onAnswer = onAnswer
  }

  /** @param absent Leaves alone what is there. */
  async register(
    nodes: readonly OwnNode[],
    ttlMs: number,
    absent: 'absent' | '',
    options: CallOptions,
  ): Promise<void> {
    const ttl = ttlMs === Infinity ? '' : Math.min(longestTtlMs, Math.ceil(ttlMs)).toFixed(0)
    const args = nodes.flatMap(({ name, id, version, json }) => [name, id, version, json])
    await this.#run(registerScript, [this.#owner, ttl, absent, ...args], options)
  }

  async deregister(records: readonly NodeRecord[], options: CallOptions): Promise<void> {
    const args = records.flatMap(({ name, version, nodes }) => [name, nodes[0].id, version])
    await this.#run(deregisterScript, args, options)
  }

  /** Takes out nodes that nobody else has registered since. */
  async disown(nodes: readonly OwnNode[]): Promise<void> {
    await this.#run(disownScript, [this.#owner, ...nodes.flatMap(({ name, id }) => [name, id])])
  }

  async get(name: string, options: CallOptions): Promise<NodeRecord[]> {
    const [, , records] = await this.#run(getScript, [String(name)], options)
    return this.#parseAll(records)
  }

  async list(options?: CallOptions): Promise<Snapshot> {
    const [epoch, revision, records] = await this.#run(listScript, [], options)
    return { epoch, revision, records: this.#parseAll(records) }
  }

  async state(options: CallOptions = {}): Promise<Revision> {
    const [epoch, revision] = await this.#run(stateScript, [], options)
    return { epoch, revision }
  }

  /** What somebody else wrote there is passed over. */
  parse(json: string): NodeRecord | undefined {
    try {
      return nodeRecords(JSON.parse(json))[0]
    } catch (error) {
      this.#log.warn('a record does not parse', { error })
      return undefined
    }
  }

  #parseAll(records: readonly string[]): NodeRecord[] {
    return records.flatMap((json) => this.parse(json) ?? [])
  }

  async #run(
    script: string,
    args: readonly string[],
    options?: RunOptions,
  ): Promise<readonly [epoch: string, revision: number, records: readonly string[]]> {
    const command = ['EVAL', script, '0', this.#prefix, randomUUID(), ...args]
    const run = this.#link.run((client) => client.sendCommand(command, asText), options)
    const reply = (await run) as [string, number, string[]]
    this.#onAnswer({ epoch: reply[0], revision: reply[1] })
    return reply
  }
}
