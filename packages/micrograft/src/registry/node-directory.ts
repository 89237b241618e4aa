import { lstatSync, readdirSync, readFileSync, rmSync, statSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '@micrograft/contracts'
import { isNodeFileName, readNodeFile, type NodeFile } from './node-file.js'
import type { NodeTable } from './node-table.js'
import { hasEnded, hasPlainlyEnded, type ProcessIdentity } from './process-identity.js'

export interface NodeDirectoryLimits {
  readonly maxFileBytes: number
  readonly maxNodes: number
}

interface Seen {
  readonly ino: number
  readonly size: number
  readonly mtimeMs: number
  /** `undefined` where it is no node's file. */
  readonly file: NodeFile | undefined
  readonly expiresAt: number
}

interface Owner {
  readonly identity: ProcessIdentity
  readonly files: Set<string>
}

/** A directory's time of change is only as fine as the clock of its file system: until then it proves nothing. */
const settledAfterMs = 100
const coarselySettledAfterMs = 2500
const abandonedAfterMs = 60_000

/**
 * Brings a table of nodes up to date with a directory of node files. It reads only the files that
 * changed since it looked last, and lists the directory only where that changed.
 *
 * It works synchronously: each call takes microseconds on the file systems that such a directory is
 * on, fewer than a trip through the thread pool would, and nothing can come in between.
 */
export class NodeDirectory {
  readonly #path: string
  readonly #table: NodeTable
  readonly #limits: NodeDirectoryLimits
  readonly #self: ProcessIdentity
  readonly #log: Logger
  readonly #seen = new Map<string, Seen>()
  readonly #owners = new Map<string, Owner>()
  readonly #strangers = new Set<string>()
  #unchangedSince: bigint | undefined
  #nextExpiry = Infinity
  #tooMany = false

  constructor(
    path: string,
    table: NodeTable,
    limits: NodeDirectoryLimits,
    self: ProcessIdentity,
    log: Logger,
  ) {
    this.#path = path
    this.#table = table
    this.#limits = limits
    this.#self = self
    this.#log = log
  }

  /** Sees everything. @param thorough Also notices processes whose number another one has by now. */
  look(thorough = false): void {
    const { mtimeNs } = statSync(this.#path, { bigint: true })
    if (mtimeNs !== this.#unchangedSince) this.#list(mtimeNs)
    if (Date.now() >= this.#nextExpiry) this.#expire()
    for (const { identity, files } of this.#owners.values()) {
      if ((thorough ? hasEnded : hasPlainlyEnded)(identity, this.#self))
        for (const name of files) this.#remove(name)
    }
  }

  /** Sees these files alone. */
  lookAt(names: Iterable<string>): void {
    for (const name of names) if (isNodeFileName(name)) this.#check(name)
  }

  /** What a file says, as seen last; `undefined` where it is not there, or nothing that counts. */
  find(name: string): NodeFile | undefined {
    return this.#seen.get(name)?.file
  }

  #list(mtimeNs: bigint): void {
    const ageMs = Date.now() - Number(mtimeNs / 1_000_000n)
    const names = new Set(readdirSync(this.#path))
    for (const name of names) {
      if (isNodeFileName(name)) this.#check(name)
      else this.#meet(name)
    }
    // One that was renamed while the directory was read may be missing from it, and there all the same.
    for (const name of this.#seen.keys()) if (!names.has(name)) this.#check(name)
    const coarse = mtimeNs % 1_000_000_000n === 0n
    this.#unchangedSince = ageMs > (coarse ? coarselySettledAfterMs : settledAfterMs) ? mtimeNs : undefined
  }

  #check(name: string): void {
    const stats = lstatSync(join(this.#path, name), { throwIfNoEntry: false })
    if (!stats) return this.#forget(name)
    const before = this.#seen.get(name)
    if (before && before.ino === stats.ino && before.size === stats.size && before.mtimeMs === stats.mtimeMs)
      return
    if (!before && this.#seen.size >= this.#limits.maxNodes) {
      if (!this.#tooMany)
        this.#log.warn('more nodes than the registry takes', { path: this.#path, ...this.#limits })
      this.#tooMany = true
      return
    }
    const file = this.#read(name, stats)
    const { ino, size, mtimeMs } = stats
    // A time in the future would keep a node for ever.
    const expiresAt = file ? Math.min(mtimeMs, Date.now()) + file.ttlMs : Infinity
    this.#disown(name, before)
    this.#seen.set(name, { ino, size, mtimeMs, file, expiresAt })
    if (!file) return this.#hide(before)
    if (file.process && hasEnded(file.process, this.#self)) return this.#remove(name)
    this.#own(name, file)
    this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt)
    if (expiresAt > Date.now()) this.#table.set(file.record)
    else this.#hide(before)
  }

  #read(name: string, stats: Stats): NodeFile | undefined {
    try {
      if (!stats.isFile()) throw new Error('it is no file')
      if (stats.size > this.#limits.maxFileBytes)
        throw new Error(`it has more than ${this.#limits.maxFileBytes} bytes`)
      this.#log.trace('node file read', { name })
      return readNodeFile(name, readFileSync(join(this.#path, name), 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      this.#log.warn('node file ignored', { path: join(this.#path, name), reason: (error as Error).message })
      return undefined
    }
  }

  /** Takes nodes out whose time has passed, and their files once it has passed twice. */
  #expire(): void {
    const now = Date.now()
    this.#nextExpiry = Infinity
    for (const [name, { expiresAt, file }] of this.#seen) {
      if (expiresAt <= now) {
        this.#check(name)
        const { expiresAt: renewed = 0 } = this.#seen.get(name) ?? {}
        if (renewed <= now) {
          if (renewed + (file?.ttlMs ?? 0) <= now) this.#remove(name)
          else this.#hide({ file })
        }
      }
      const left = this.#seen.get(name)
      if (!left?.file) continue
      const next = left.expiresAt > now ? left.expiresAt : left.expiresAt + left.file.ttlMs
      this.#nextExpiry = Math.min(this.#nextExpiry, next)
    }
  }

  /** A file of another kind: one that was left half-written is removed, others are somebody's mistake. */
  #meet(name: string): void {
    const path = join(this.#path, name)
    if (/^\.[0-9a-f]{40}\..*\.tmp$/.test(name)) {
      const stats = lstatSync(path, { throwIfNoEntry: false })
      if (stats && Date.now() - stats.mtimeMs > abandonedAfterMs) this.#delete(path)
    } else if (!this.#strangers.has(name) && this.#strangers.size < 1000) {
      this.#strangers.add(name)
      this.#log.warn('file ignored', { path, reason: 'it has not the name of a node file' })
    }
  }

  #remove(name: string): void {
    this.#delete(join(this.#path, name))
    this.#forget(name)
  }

  /** What cannot be taken away counts for nothing all the same, and is no reason to see nothing else. */
  #delete(path: string): void {
    try {
      rmSync(path, { force: true })
    } catch (error) {
      this.#log.debug('file not removed', { path, error })
    }
  }

  #forget(name: string): void {
    const before = this.#seen.get(name)
    this.#seen.delete(name)
    this.#disown(name, before)
    this.#hide(before)
  }

  #hide(before: { readonly file: NodeFile | undefined } | undefined): void {
    if (before?.file) this.#table.delete(before.file.record.name, before.file.record.nodes[0].id)
  }

  #own(name: string, { process }: NodeFile): void {
    if (!process) return
    const key = ownerKey(process)
    const owner = this.#owners.get(key)
    if (owner) owner.files.add(name)
    else this.#owners.set(key, { identity: process, files: new Set([name]) })
  }

  #disown(name: string, before: Seen | undefined): void {
    if (!before?.file?.process) return
    const key = ownerKey(before.file.process)
    const owner = this.#owners.get(key)
    owner?.files.delete(name)
    if (owner?.files.size === 0) this.#owners.delete(key)
  }
}

function ownerKey({ pid, startedAt, boot, namespace }: ProcessIdentity): string {
  return `${pid} ${startedAt} ${boot} ${namespace}`
}
