import assert from 'node:assert/strict'
import type { RegistryEvent, RegistryWatcher } from '@micrograft/contracts'

/** The next event. @throws where none comes in time. */
export async function nextOf(watcher: RegistryWatcher, timeoutMs = 5000): Promise<RegistryEvent> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no event within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    const { done, value } = await Promise.race([watcher.next(), late])
    assert.equal(done ?? false, false, 'the watcher has ended')
    return value as RegistryEvent
  } finally {
    clearTimeout(timer)
  }
}

export function told({ type, service }: RegistryEvent): string {
  return `${type} ${service.nodes.map(({ id }) => id).join()}`
}
