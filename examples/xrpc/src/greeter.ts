// A service. Which client, server, broker, registry, selector and transport it uses is not written here.

import { createService } from 'micrograft'

const service = createService({ name: 'greeter' })

service.handle('Say', {
  Hello: async (request: { name: string }) => ({ msg: `Hello ${request.name}` }),
})
void service.subscribe<{ id: number }>('orders', async ({ id }) => {
  process.stdout.write(`order ${id}\n`)
})

await service.run()
