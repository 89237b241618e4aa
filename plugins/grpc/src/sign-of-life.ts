import type { Http2Session } from 'node:http2'

/**
 * Asks the peer for a sign of life. Node sends no ping on a session that is closed, although what is under
 * way there goes on; settings are acknowledged as pings are (RFC 9113 §6.5.3).
 *
 * @param alive Called when it comes.
 */
export function askForLife(session: Http2Session, alive: () => void): void {
  const answered = (error: Error | null) => {
    if (!error) alive()
  }
  if (session.closed) session.settings({}, answered)
  else session.ping(answered)
}
