import type { TestServer } from '../server-process.js'

/** What the client library of NATS takes to connect to a server. */
export interface NatsLogin {
  readonly servers: string
  readonly user?: string
  readonly pass?: string | undefined
}

/** How tests themselves connect to a server. */
export function natsLogin({ host, port, user, password: pass }: TestServer): NatsLogin {
  return { servers: `${host}:${port}`, ...(user === undefined ? {} : { user, pass }) }
}
