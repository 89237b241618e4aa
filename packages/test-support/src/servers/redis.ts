import { connect } from 'node:net'
import type { ServerKind } from '../server-process.js'

/**
 * Redis. Every write is on the disk before it is answered, so that what was acknowledged outlives a SIGKILL.
 *
 * @param more Further arguments, e.g. `--requirepass`.
 */
export function redisServer(more: readonly string[] = []): ServerKind {
  return {
    name: 'Redis',
    url: 'redis://127.0.0.1',
    program: 'redis-server',
    arguments({ folder, port }) {
      const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
      return [...place, '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', ...more]
    },
    // A server that still loads its data takes connections and refuses commands.
    ready: ({ port }) => answers(port),
  }
}

function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer to PING')))
    socket.once('error', reject).once('data', (data) => {
      const reply = data.toString()
      socket.destroy()
      if (/^(\+PONG|-NOAUTH)/.test(reply)) resolve()
      else reject(new Error(reply.trim()))
    })
  })
}
