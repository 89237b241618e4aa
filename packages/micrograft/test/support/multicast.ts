import { createSocket, type Socket } from 'node:dgram'

/** Why datagrams to a group on the loopback interface do not arrive here; `undefined` where they do. */
export async function noMulticast(): Promise<string | undefined> {
  const socket: Socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nothing arrived within 1 s')), 1000)
      socket.once('error', reject)
      socket.once('message', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.bind(0, () => {
        try {
          socket.addMembership('239.255.41.1', '127.0.0.1')
          socket.setMulticastInterface('127.0.0.1')
          socket.setMulticastLoopback(true)
          socket.send('hello', socket.address().port, '239.255.41.1', (error) => error && reject(error))
        } catch (error) {
          reject(error as Error)
        }
      })
    })
    return undefined
  } catch (error) {
    return `NO MULTICAST ON LOOPBACK: ${(error as Error).message}`
  } finally {
    socket.close()
  }
}
