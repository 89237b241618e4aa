import { createServer } from 'node:net'

// Below those that the system gives to connections and to whoever asks for any port: it may give one of those away
// before the server listens on it, or while that is down for a restart. IANA, RFC 6335 section 6, and Linux's own range.
const [first, count] = [10_000, 22_000]

/** A port of 127.0.0.1 that nothing listens on, and that the system gives to nobody who does not name it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
