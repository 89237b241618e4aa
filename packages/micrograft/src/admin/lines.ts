import type { Socket } from 'node:net'

const maxLineBytes = 65_536

/** Calls `take` with each line; a line that is too long ends the connection. */
export function readLines(socket: Socket, take: (line: string) => void): void {
  let rest = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() as string
    if (rest.length > maxLineBytes || lines.some((line) => line.length > maxLineBytes)) {
      socket.destroy()
      return
    }
    for (const line of lines) if (line.trim() !== '') take(line)
  })
}
