import { createSocket } from 'node:dgram'

/** Why what is sent to the group of mDNS does not come back here; `undefined` where it does. */
export async function noMulticast(): Promise<string | undefined> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nothing arrived within 1 s')), 1000)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      // A query without a question: nobody answers it.
      const own = Buffer.from('4d470000000000000000000000', 'hex')
      socket.once('error', reject)
      socket.on('message', (bytes) => bytes.equals(own) && done())
      socket.bind(5353, () => {
        try {
          socket.addMembership('224.0.0.251')
          socket.setMulticastLoopback(true)
          socket.send(own, 5353, '224.0.0.251', (error) => error && reject(error))
        } catch (error) {
          reject(error as Error)
        }
      })
    })
    return undefined
  } catch (error) {
    return `no multicast on this machine: ${(error as Error).message}`
  } finally {
    socket.close()
  }
}
