import { randomBytes } from 'node:crypto'
import { access, chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  requireLimits,
  resolveOptions,
  ServiceError,
  type ComponentContext,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { transportLimits } from './limits.js'
import { messageFraming } from './message-framing.js'
import { refuseAddresses } from './no-addresses.js'
import { SocketTransport, type Door, type SocketKind } from './socket-transport.js'
import { defaultDirectory, ownDirectory, removeStale, unixPath } from './unix-path.js'

export interface UnixTransportOptions extends TransportLimits {
  /**
   * Where socket files are made for doors whose address names none; it is made with mode 0700.
   * @default `micrograft` in XDG_RUNTIME_DIR, else `micrograft-<uid>` in the directory for temporary files
   */
  readonly directory?: string | undefined
}

/**
 * Messages over Unix sockets, within one machine. Addresses are `unix:/path`. A socket file has mode
 * 0600; one that a dead process left behind is replaced.
 */
export function unixTransport(
  options: UnixTransportOptions | undefined,
  _context: ComponentContext,
): Transport {
  refuseAddresses('unix', options)
  const defaults = { ...transportLimits, directory: defaultDirectory() }
  const what = 'the options of the unix transport'
  const { directory, ...limits } = resolveOptions(what, defaults, options)
  requireLimits(what, limits)
  return new SocketTransport(unixKind(directory, limits.maxMessageBytes), limits)
}

interface UnixDoor extends Door {
  readonly listen: { readonly path: string }
}

function unixKind(directory: string, maxMessageBytes: number): SocketKind {
  return {
    name: 'unix',
    framing: messageFraming(maxMessageBytes),
    canSecure: false,
    async door(address): Promise<UnixDoor> {
      let path = unixPath(address)
      if (path === '') {
        await ownDirectory(directory)
        path = unixPath(join(directory, `${process.pid}-${randomBytes(6).toString('hex')}.sock`))
      }
      await access(dirname(path)).catch((cause: unknown) => {
        throw new ServiceError('invalid-option', `cannot listen on unix:${path}: make its directory first`, {
          cause,
        })
      })
      return {
        listen: { path },
        async opened() {
          await chmod(path, 0o600)
          return `unix:${path}`
        },
      }
    },
    free: (door) => removeStale((door as UnixDoor).listen.path),
    target(address) {
      const path = unixPath(address)
      if (path === '')
        throw new ServiceError('invalid-option', `${JSON.stringify(address)} has no path to connect to`)
      return { path }
    },
    remote: () => 'unix',
  }
}
