import {
  requireLimits,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type Logger,
  type RegisterOptions,
  type Registry,
  type RegistryCapabilities,
  type RegistryWatcher,
  type ServiceRecord,
  type WatchOptions,
} from '@micrograft/contracts'
import { nodeRecords, type NodeWatcher } from '@micrograft/plugin-kit'
import { DirectoryFollower } from './directory-follower.js'
import { NodeDirectory } from './node-directory.js'
import { NodeFileWriter } from './node-file-writer.js'
import { nodeFileName, writeNodeFile } from './node-file.js'
import { NodeTable } from './node-table.js'
import { defaultDirectory, openPrivateDirectory, unavailable, type PrivatePath } from './private-directory.js'
import { ownProcess } from './process-identity.js'
import { closedError, ttlOf } from './registry-checks.js'

export interface LocalRegistryOptions {
  /**
   * Where the nodes' files are: a directory of the user's own, on this machine.
   * @default `micrograft/registry` below XDG_RUNTIME_DIR, or `micrograft-<uid>/registry` below the directory for temporary files
   */
  readonly directory?: string | undefined
  /** The directory, as `--registry_address` gives it. @default none */
  readonly addresses?: readonly string[] | undefined
  /** How often a watched directory is looked at even though the system tells of no change, in milliseconds. @default 1000 */
  readonly pollMs?: number | undefined
  /** Largest file that is written or read, in bytes. @default 262_144 (256 KiB) */
  readonly maxFileBytes?: number | undefined
  /** Most nodes that are read. @default 20_000 */
  readonly maxNodes?: number | undefined
}

const defaults = {
  directory: undefined,
  addresses: undefined,
  pollMs: 1000,
  maxFileBytes: 262_144,
  maxNodes: 20_000,
}

/** Nodes of one user's processes on one machine: a file for each in a directory, and no server. */
export function localRegistry(
  options: LocalRegistryOptions | undefined,
  { log }: ComponentContext,
): Registry {
  const what = 'the options of the local registry'
  const resolved = resolveOptions(what, defaults, options)
  const { pollMs, maxFileBytes, maxNodes } = resolved
  requireLimits(what, { pollMs, maxFileBytes, maxNodes })
  return new LocalRegistry(directoryOf(resolved), resolved, log)
}

function directoryOf({ directory, addresses = [] }: LocalRegistryOptions): PrivatePath {
  if (addresses.length > 1) {
    const message = `the local registry has one directory, not ${addresses.join(' and ')}; give one`
    throw new ServiceError('invalid-option', message)
  }
  const path = directory ?? addresses[0]
  return path ? { path, above: [] } : defaultDirectory()
}

class LocalRegistry implements Registry {
  readonly name = 'local'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 100 })
  readonly #place: PrivatePath
  readonly #maxFileBytes: number
  readonly #log: Logger
  readonly #self = ownProcess()
  readonly #nodes = new NodeTable()
  readonly #directory: NodeDirectory
  readonly #files: NodeFileWriter
  readonly #watchers = new Set<NodeWatcher>()
  readonly #follower: DirectoryFollower
  #opened = false
  #closed = false
  #lost = false

  constructor(
    place: PrivatePath,
    limits: { readonly pollMs: number; readonly maxFileBytes: number; readonly maxNodes: number },
    log: Logger,
  ) {
    this.#place = place
    this.#maxFileBytes = limits.maxFileBytes
    this.#log = log
    this.#directory = new NodeDirectory(place.path, this.#nodes, limits, this.#self, log)
    this.#files = new NodeFileWriter(place.path)
    this.#follower = new DirectoryFollower({
      path: place.path,
      pollMs: limits.pollMs,
      log,
      changed: (names) => this.#lookAtChanged(names),
      poll: () => this.#lookAgain(),
    })
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const ttl = ttlOf(ttlMs)
    const files = nodeRecords(service).map((record) => {
      const name = nodeFileName(record.name, record.nodes[0].id)
      return {
        name,
        text: this.#text(writeNodeFile({ record, ttlMs: ttl, process: this.#self }), record.nodes[0].id),
      }
    })
    this.#use(() => {
      for (const { name, text } of files) this.#files.write(name, text)
      this.#directory.lookAt(files.map(({ name }) => name))
    })
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    const records = nodeRecords(service)
    this.#use(() => {
      for (const { name, version, nodes } of records) {
        const file = nodeFileName(name, nodes[0].id)
        this.#directory.lookAt([file])
        if (this.#directory.find(file)?.record.version !== version) continue
        this.#files.remove(file)
        this.#directory.lookAt([file])
      }
    })
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    this.#use(() => this.#directory.look())
    return this.#nodes.get(name)
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    this.#use(() => this.#directory.look())
    return this.#nodes.list()
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    this.#ready(options.signal)
    this.#use(() => this.#followAndLook())
    const watcher = this.#nodes.watch(options, (ended) => {
      this.#watchers.delete(ended)
      if (this.#watchers.size === 0) this.#follower.stop()
    })
    this.#watchers.add(watcher)
    return watcher
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const watcher of this.#watchers) watcher.end(closedError('local'))
    this.#follower.stop()
    this.#files.removeOwn()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError('local')
  }

  /** Something that needs the directory; one that somebody cleaned away is made again. */
  #use(work: () => void): void {
    for (const lastTry of [false, true]) {
      try {
        if (!this.#opened) openPrivateDirectory(this.#place)
        this.#opened = true
        return work()
      } catch (error) {
        if (error instanceof ServiceError) throw error
        this.#opened = false
        if (lastTry || (error as NodeJS.ErrnoException).code !== 'ENOENT')
          throw unavailable(this.#place.path, error)
      }
    }
  }

  #text(text: string, id: string): string {
    const bytes = Buffer.byteLength(text)
    if (bytes <= this.#maxFileBytes) return text
    const message = `the record of ${id} has ${bytes} bytes, the limit is ${this.#maxFileBytes}; raise maxFileBytes of every local registry`
    throw new ServiceError('too-large', message)
  }

  #followAndLook(): void {
    this.#follower.follow()
    this.#directory.look(true)
  }

  #lookAtChanged(names: readonly string[] | undefined): void {
    this.#tolerantly(() => {
      if (names) this.#directory.lookAt(names)
      else this.#directory.look()
    })
  }

  #lookAgain(): void {
    this.#tolerantly(() => this.#followAndLook())
  }

  /** A watcher goes on whatever happens to the directory. */
  #tolerantly(work: () => void): void {
    try {
      this.#use(work)
      this.#lost = false
    } catch (error) {
      if (!this.#lost) this.#log.warn('registry lost, trying again', { path: this.#place.path, error })
      this.#lost = true
      this.#follower.forget()
    }
  }
}
