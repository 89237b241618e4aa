import { readFileSync, readlinkSync } from 'node:fs'

/** A process, told apart from a later one with the same number. Fields are empty where the system does not tell. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in clock ticks since the machine did. */
  readonly startedAt: string
  /** This run of the machine. */
  readonly boot: string
  /** Where the number counts: containers have numbers of their own. */
  readonly namespace: string
}

export function ownProcess(): ProcessIdentity {
  return {
    pid: process.pid,
    startedAt: startOf(process.pid) ?? '',
    boot: tolerant(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) ?? '',
    namespace: tolerant(() => readlinkSync('/proc/self/ns/pid')) ?? '',
  }
}

/** Whether `other` has ended. `false` where that cannot be known from here. */
export function hasEnded(other: ProcessIdentity, self: ProcessIdentity): boolean {
  if (other.boot !== self.boot) return other.boot !== '' && self.boot !== ''
  if (other.namespace !== self.namespace) return false
  if (!isThere(other.pid)) return true
  if (other.startedAt === '' || self.startedAt === '') return false
  return startOf(other.pid) !== other.startedAt
}

/** As `hasEnded`, at the cost of one system call; a number that was given again it takes for the old process. */
export function hasPlainlyEnded(other: ProcessIdentity, self: ProcessIdentity): boolean {
  return other.boot === self.boot && other.namespace === self.namespace && !isThere(other.pid)
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Field 22 of proc_pid_stat(5); `undefined` for a process that is not there or only waits to be reaped. */
function startOf(pid: number): string | undefined {
  return tolerant(() => {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in brackets, may hold spaces and brackets itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  })
}

function tolerant<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
