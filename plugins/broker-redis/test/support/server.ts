import { connect } from 'node:net'
import type { ServerProcess } from '@micrograft/test-support'

/** Runs one command on the server, on a connection of its own, and gives its reply as the server writes it. */
export function command({ port }: Pick<ServerProcess, 'port'>, ...args: readonly string[]): Promise<string> {
  const text = args.map((each) => `$${Buffer.byteLength(each)}\r\n${each}\r\n`).join('')
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`*${args.length}\r\n${text}`))
    socket.once('error', reject).once('data', (data) => {
      socket.destroy()
      const reply = data.toString()
      if (reply.startsWith('-')) reject(new Error(reply.trim()))
      else resolve(reply.trim())
    })
  })
}
