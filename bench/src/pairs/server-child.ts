import type { Adapter, AdapterOptions, Payload } from './adapter.js'
import { adapterUrl, childOptions, commands, tell } from './pipe.js'

/** How long events are counted before the publisher is told, in milliseconds. */
const everyMs = 5

const adapter = (await import(adapterUrl())) as Adapter
const { message, ...options } = childOptions<AdapterOptions & { readonly message: Payload }>()
let count = 0
let telling = false
const received = () => {
  count++
  if (telling) return
  telling = true
  setTimeout(() => {
    telling = false
    tell(count)
  }, everyMs)
}
const address = await adapter.serve({ ...options, message, received })
commands()
tell(address)
