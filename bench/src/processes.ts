import { spawnSync } from 'node:child_process'

/** How long a command takes from start to end, in milliseconds. It must succeed; its output is not shown. */
export function timeProcess(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): number {
  const began = performance.now()
  const { status, error, stderr } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    ...options,
  })
  const ms = performance.now() - began
  if (error) throw error
  if (status !== 0)
    throw new Error(`${command.split('/').at(-1)} ${args[0] ?? ''} ended with ${status}: ${stderr}`)
  return ms
}
