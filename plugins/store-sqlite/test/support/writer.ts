import { Plugin } from '@micrograft/store-sqlite'
import type { Store } from '@micrograft/contracts'
import { componentContext } from '@micrograft/testing'

// A process that writes one entry after another and prints the key of each that was acknowledged.
const [, , folder = '', who = ''] = process.argv
const store = (await Plugin.newFunc(
  { addresses: [folder], table: 'written' } as never,
  componentContext(),
)) as Store
for (let count = 0; ; count++) {
  const key = `${who}/${count}`
  await store.set(key, new TextEncoder().encode(`value of ${key}`))
  process.stdout.write(`${key}\n`)
  if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
}
