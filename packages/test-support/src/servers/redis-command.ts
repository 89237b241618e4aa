import { connect } from 'node:net'
import type { TestServer } from '../server-process.js'

/** Runs one command on the server, on a connection of its own, and gives its reply as the server writes it. */
export async function redisCommand(
  { host, port, user = 'default', password }: TestServer,
  ...args: readonly string[]
): Promise<string> {
  const socket = connect(port, host)
  const ask = (words: readonly string[]) => {
    const text = words.map((each) => `$${Buffer.byteLength(each)}\r\n${each}\r\n`).join('')
    return new Promise<string>((resolve, reject) => {
      socket.once('error', reject).once('data', (data) => {
        const reply = data.toString()
        if (reply.startsWith('-')) reject(new Error(reply.trim()))
        else resolve(reply.trim())
      })
      socket.write(`*${words.length}\r\n${text}`)
    })
  }
  try {
    if (password !== undefined) await ask(['AUTH', user, password])
    return await ask(args)
  } finally {
    socket.destroy()
  }
}
