import type { Connection, ConnectionHandler, Message, ServiceError, Transport } from '@micrograft/contracts'
import { Plugin, type NatsTransportOptions } from '@micrograft/transport-nats'
import { componentContext } from '@micrograft/testing'

export function openTransport(options: NatsTransportOptions): Promise<Transport> {
  return (Plugin.newFunc as unknown as (...args: unknown[]) => Promise<Transport>)(
    options,
    componentContext(),
  )
}

/** A handler that keeps what it is told. */
export class End implements ConnectionHandler {
  readonly messages: Message[] = []
  connection: Connection | undefined
  ended = false
  error: ServiceError | undefined

  message(message: Message): void {
    this.messages.push(message)
  }

  closed(error: ServiceError | undefined): void {
    this.ended = true
    this.error = error
  }

  get texts(): string[] {
    return this.messages.map(({ body }) => new TextDecoder().decode(body))
  }
}

export function message(body: string, header: Record<string, string> = {}): Message {
  return { header, body: new TextEncoder().encode(body) }
}

/** Listens, and keeps the ends of those who come. */
export async function door(transport: Transport, address = ''): Promise<{ address: string; ends: End[] }> {
  const ends: End[] = []
  const listener = await transport.listen(address, (connection) => {
    const end = new End()
    end.connection = connection
    ends.push(end)
    return end
  })
  return { address: listener.address, ends }
}

/** Answers each message with itself. */
export const echo = (connection: Connection): ConnectionHandler => ({
  message: (each) => void connection.send(each),
  closed: () => undefined,
})
