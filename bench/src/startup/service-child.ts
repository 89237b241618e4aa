import { createService } from 'micrograft'
import { announce } from './announce.js'

const service = createService({ name: 'greeter' })
service.handle('Say', { Hello: async ({ name }: { readonly name: string }) => ({ msg: `Hello ${name}` }) })
await service.init()
await service.start()
announce(service.address as string)
process.once('SIGTERM', () => void service.stop())
