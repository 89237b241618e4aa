import { spawn } from 'node:child_process'

/**
 * Reads one line. Where the pipe ends without one, whoever held it has died: then the process that it
 * was told ends with all that it has started, and its folder goes.
 */
const script = `
read -r _ && exit
tree() { echo "$1"; for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$child"; done; }
kill -s KILL -- "-$1" $(tree "$1") 2>/dev/null
for _ in 1 2 3 4 5; do rm -rf "$2" && exit; sleep 0.1; done
`

/**
 * Sees to it that a process group ends with this process, however that ends: a process of its own that
 * waits for the end of a pipe. Calling what it gives lets the group be.
 */
export function guard(pid: number, folder: string): () => void {
  const child = spawn('/bin/sh', ['-c', script, 'guard', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // What ends this process and its group does not end the guard.
    detached: true,
  })
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  child.unref()
  ;(child.stdin as unknown as { unref(): void }).unref()
  return () => child.stdin.end('\n')
}
