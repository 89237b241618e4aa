import type { Adapter, AdapterOptions, Payload } from './adapter.js'
import { load } from './load.js'
import { publish, type Credit } from './publish.js'
import { adapterUrl, childOptions, commands, tell } from './pipe.js'
import { readStream } from './read-stream.js'

/** What a client is asked to measure. */
export type Command =
  | { readonly kind: 'calls'; readonly payload: Payload; readonly inFlight: number; readonly ms: number }
  | { readonly kind: 'stream'; readonly ms: number; readonly warmUpMs: number; readonly pauseMs: number }
  | { readonly kind: 'events'; readonly payload: Payload; readonly ms: number }
  | { readonly kind: 'received'; readonly count: number }

const adapter = (await import(adapterUrl())) as Adapter
const { address, ...options } = childOptions<AdapterOptions & { readonly address: string }>()
const connection = await adapter.connect(address, options)
const credit: Credit = { published: 0, received: 0, more: undefined }

function run(command: Exclude<Command, { readonly kind: 'received' }>): Promise<unknown> {
  const { call, stream, publish: tellAll } = connection
  if (command.kind === 'calls' && call) return load(call, command.payload, command.inFlight, command.ms)
  if (command.kind === 'stream' && stream) return readStream(stream(), command)
  if (command.kind === 'events' && tellAll) return publish(tellAll, credit, command)
  throw new Error(`this variant has no ${command.kind}`)
}

commands().on('line', (line) => {
  const command = JSON.parse(line) as Command
  if (command.kind === 'received') {
    credit.received = command.count
    credit.more?.()
    return
  }
  void run(command).then(tell)
})
tell('ready')
