import { setTimeout as wait } from 'node:timers/promises'

/**
 * Resolves with what `condition` gives as soon as that is something, and rejects where it stays
 * nothing for `timeoutMs`, naming `what` was waited for.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 15_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`)
    await wait(5)
  }
}
