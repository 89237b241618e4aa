import assert from 'node:assert/strict'
import type { Leftover, Plugin } from '@micrograft/plugin'
import type { BuiltPlugin } from '@micrograft/plugin/build'
import type { Workshop } from './workshop.js'

/**
 * Opens a plugin file on a platform of its own, uses it, closes it, and holds that nothing is left
 * of it: not in memory, and not on `globalThis`.
 *
 * @param use Gives plain values only: what it gives back is held, and would hold the plugin.
 * @returns what closing it found left behind.
 */
export async function life<T extends object>(
  { platform }: Workshop,
  { path }: BuiltPlugin,
  use: (plugin: Plugin<T>) => Promise<void>,
): Promise<readonly Leftover[]> {
  // Node makes its own dispatcher when this is first asked for, whoever asks.
  void globalThis.Response
  const globals = Reflect.ownKeys(globalThis)
  const plugin = await platform().open<T>(path)
  await use(plugin)
  const { leftovers, failure } = await plugin.close()
  assert.equal(failure, undefined)
  if (!(await plugin.collected()))
    assert.fail(`still in memory, held by\n${(await plugin.heldBy()).join('\n')}`)
  assert.deepEqual(Reflect.ownKeys(globalThis), globals)
  return leftovers
}
