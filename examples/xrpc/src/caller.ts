// Calls the greeter once, publishes once, and ends. As the greeter, it names no component.

import { createService } from 'micrograft'

const caller = createService({ name: 'caller' })
await caller.init()
await caller.start()

const reply = await caller.client.call<{ msg: string }>('greeter', 'Say.Hello', { name: 'John' })
process.stdout.write(`${reply.msg}\n`)
await caller.publish('orders', { id: 1 })

await caller.stop()
