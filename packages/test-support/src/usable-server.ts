import type { TestContext } from 'node:test'
import {
  addressVariable,
  missing,
  serverFor,
  ServerProcess,
  type ServerKind,
  type TestServer,
} from './server-process.js'

/**
 * A server for tests that only talk to it: the one that the environment names, e.g. in TEST_NATS_ADDRESS,
 * or one that is started. What they write there has names that no other run has.
 */
export async function usableServer(kind: ServerKind): Promise<TestServer> {
  return givenServer(kind) ?? (await ServerProcess.start(kind))
}

/** As `missing`, for those tests. */
export function unusable(kind: ServerKind): string | undefined {
  return givenServer(kind) ? undefined : missing(kind)
}

/** `host:port`, or a URL; user, password and path that it has not are those of a server that is started. */
function givenServer(kind: ServerKind): TestServer | undefined {
  const variable = addressVariable(kind)
  const given = process.env[variable]
  if (!given) return undefined
  const url = new URL(kind.url)
  let from: URL
  try {
    from = new URL(given.includes('://') ? given : `${url.protocol}//${given}`)
    if (from.hostname === '' || from.port === '') throw new Error('it has no host or no port')
  } catch (error) {
    throw new Error(
      `${variable} is no address; write host:port or ${url.protocol}//user:password@host:port`,
      {
        cause: error,
      },
    )
  }
  url.hostname = from.hostname
  url.port = from.port
  if (from.username !== '' || from.password !== '') {
    url.username = from.username
    url.password = from.password
  }
  if (from.pathname.length > 1) url.pathname = from.pathname
  return {
    address: url.href,
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/**
 * For a test that does something to its server: the one that the others use, where it was started here,
 * or else one that is started for this test.
 */
export async function ownServer(
  t: TestContext,
  kind: ServerKind,
  used: TestServer,
): Promise<ServerProcess | undefined> {
  return used instanceof ServerProcess ? used : serverFor(t, kind)
}
