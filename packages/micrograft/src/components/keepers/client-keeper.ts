import type { CallOptions, Client, ClientRequest, ClientStream, Node } from '@micrograft/contracts'
import { untilRead } from '../../streams/until-read.js'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

/** A stream stays on the client where it was opened, which waits for its end. */
export function clientKeeper(slot: SlotView<Client>): Keeper<Client> {
  return {
    methods: {
      async stream(node: Node, request: ClientRequest, options?: CallOptions): Promise<ClientStream> {
        const generation = await slot.take()
        generation.enter()
        try {
          const opening = generation.component.stream(node, request, options)
          if (generation.tally) generation.watch(opening, generation.tally)
          return counted(await opening, generation)
        } catch (error) {
          generation.leave()
          throw error
        }
      },
    },
  }
}

function counted(stream: ClientStream, generation: Generation<Client>): ClientStream {
  let open = true
  const ended = () => {
    if (open) generation.leave()
    open = false
  }
  return {
    send: (body, options) => stream.send(body, options),
    end: () => stream.end(),
    get metadata() {
      return stream.metadata
    },
    messages: untilRead(stream.messages, ended),
    async [Symbol.asyncDispose]() {
      try {
        await stream[Symbol.asyncDispose]()
      } finally {
        ended()
      }
    },
  }
}
