import { Plugin } from '@micrograft/store-sqlite'
import type { Store } from '@micrograft/contracts'
import { componentContext } from '@micrograft/testing'

// A process that writes until it cannot, then reads all that was acknowledged, and tells of both.
const [, , folder = ''] = process.argv
const store = (await Plugin.newFunc(
  { addresses: [folder], database: 'small.db', table: 'filled' } as never,
  componentContext(),
)) as Store
let written = 0
let code = ''
while (code === '' && written < 1000) {
  try {
    await store.set(`k${written}`, new Uint8Array(100_000))
    written++
  } catch (error) {
    ;({ code } = error as { code: string })
  }
}
let read = 0
for (let i = 0; i < written; i++) if ((await store.get(`k${i}`))?.length === 100_000) read++
process.stdout.write(JSON.stringify({ code, written, read }))
await store[Symbol.asyncDispose]()
