import { readFileSync } from 'node:fs'

/** What a process has used. */
export interface Usage {
  /** User and system time. */
  readonly cpuMs: number
  readonly rssBytes: number
  readonly peakBytes: number
}

/** The kernel counts in hundredths of a second, on every Linux. */
const tickMs = 10

/** `undefined` where the system is not Linux, or the process is gone. */
export function usageOf(pid: number): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name may hold anything; the numbers follow its last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
      rssBytes: kilobytes('VmRSS') * 1024,
      peakBytes: kilobytes('VmHWM') * 1024,
    }
  } catch {
    return undefined
  }
}
