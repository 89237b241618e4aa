// A broker of one's own: every message is a file in the folder that --broker_address names, and
// subscribers look for new ones.

import { randomUUID } from 'node:crypto'
import { definePlugin, type Broker, type ComponentContext } from '@micrograft/contracts'
import { Folder } from './folder.js'

interface Stored {
  readonly topic: string
  readonly header: Readonly<Record<string, string>>
  readonly body: string
}

export const Plugin = definePlugin({
  name: 'folder',
  type: 'broker',
  version: '1.0.0',
  newFunc: ({ addresses = ['messages'] }: { addresses?: readonly string[] }, context: ComponentContext) => {
    context.log.info('folder broker made')
    return folderBroker(new Folder(addresses[0] as string))
  },
})

function folderBroker(folder: Folder<Stored>): Broker {
  const looking = new Set<NodeJS.Timeout>()
  return {
    name: 'folder',
    capabilities: { redelivery: false, durable: false, ordered: true, crossProcess: true },
    async publish(topic, { header, body }) {
      const name = `${Date.now().toString().padStart(15, '0')}-${randomUUID()}`
      await folder.put(name, { topic, header, body: Buffer.from(body).toString('base64') })
    },
    async subscribe(topic, handler, { onError } = {}) {
      const seen = new Set((await folder.all()).keys())
      const look = async () => {
        for (const [name, { topic: actual, header, body }] of await folder.all()) {
          if (seen.has(name)) continue
          seen.add(name)
          const delivery = { topic, message: { header, body: Buffer.from(body, 'base64') }, redelivered: 0 }
          if (actual === topic) await handler(delivery).catch((error: Error) => onError?.(error, delivery))
        }
      }
      const timer = setInterval(() => void look(), 20)
      looking.add(timer)
      return { topic, [Symbol.asyncDispose]: async () => clearInterval(timer) }
    },
    async [Symbol.asyncDispose]() {
      for (const timer of looking) clearInterval(timer)
    },
  }
}
