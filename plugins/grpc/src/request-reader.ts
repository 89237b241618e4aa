import type { ServerHttp2Stream } from 'node:http2'
import { ServiceError } from '@micrograft/contracts'
import type { CallAnswer } from './call-answer.js'
import type { MessageReader } from './message-frame.js'
import type { ServerConnection } from './server-connection.js'

export interface RequestReaderOptions {
  readonly stream: ServerHttp2Stream
  readonly reader: MessageReader
  /** Whether messages are kept until the request is whole: then their bytes are held. */
  readonly keeps: boolean
  readonly connection: Pick<ServerConnection, 'alive'>
  /** Once it is over, nothing more is taken. */
  readonly answer: Pick<CallAnswer, 'over'>
  /** So many bytes are held now. @throws where that is too much */
  readonly hold: (bytes: number) => void
  readonly message: (body: Buffer) => void
  readonly ended: () => void
  /** The peer sent it wrongly, or what it is handed to threw. */
  readonly failed: (error: ServiceError) => void
}

/** Takes messages out of what comes on a call's stream, and tells where the request ends. */
export function readRequest(options: RequestReaderOptions): void {
  const { stream, connection, answer, reader, keeps, hold, message, ended, failed } = options
  const guarded = (work: () => void) => {
    if (answer.over) return
    try {
      work()
    } catch (error) {
      failed(ServiceError.from(error))
      stream.resume()
    }
  }
  let whole = 0
  stream.on('data', (chunk: Buffer) =>
    guarded(() => {
      connection.alive()
      reader.read(chunk, (body) => {
        if (keeps) whole += body.length
        message(body)
      })
      hold(whole + reader.held)
    }),
  )
  stream.once('end', () =>
    guarded(() => {
      if (stream.aborted) return
      if (reader.partial) throw new ServiceError('protocol', 'the request ends within a message')
      ended()
    }),
  )
}
