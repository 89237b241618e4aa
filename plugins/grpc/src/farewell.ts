import type { Duplex } from 'node:stream'

/** How long a peer may take to read the last of what is sent to it, in milliseconds. */
const farewellMs = 250

/** Ends a socket whose session was destroyed: that waits until all is written, which a peer that reads nothing holds up. */
export function endAfterFarewell(socket: Duplex): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), farewellMs)
  socket.once('close', () => clearTimeout(timer))
}
