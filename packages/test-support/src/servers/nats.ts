import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServerKind } from '../server-process.js'

export interface NatsServerSettings {
  /** Keeps streams and buckets in the server's folder. @default true */
  readonly jetstream?: boolean | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** Files of a certificate and its key, in PEM; connections must be encrypted then. @default none */
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Largest message, in bytes. @default 1_048_576 (1 MiB) */
  readonly maxPayloadBytes?: number | undefined
  /** Most that JetStream keeps in files, in bytes. @default 1_073_741_824 (1 GiB) */
  readonly maxFileStoreBytes?: number | undefined
  /** More of the server's configuration file. @default nothing */
  readonly more?: string | undefined
}

/** A nats-server. @param settings Asked at each start: another may have changed them meanwhile. */
export function natsServer(settings: () => NatsServerSettings = () => ({})): ServerKind {
  return {
    name: 'NATS',
    url: 'nats://127.0.0.1',
    program: 'nats-server',
    async arguments({ folder, port }) {
      const file = join(folder, 'server.conf')
      await writeFile(file, configuration(folder, port, settings()))
      return ['-c', file]
    },
  }
}

function configuration(
  folder: string,
  port: number,
  {
    jetstream = true,
    user,
    password,
    token,
    tls,
    maxPayloadBytes = 1_048_576,
    maxFileStoreBytes = 1_073_741_824,
    more,
  }: NatsServerSettings,
): string {
  const text = (value: string) => JSON.stringify(value)
  const lines = [`listen: "127.0.0.1:${port}"`, `max_payload: ${maxPayloadBytes}`]
  if (jetstream) {
    lines.push(`jetstream { store_dir: ${text(join(folder, 'jetstream'))}, max_file: ${maxFileStoreBytes} }`)
  }
  if (token !== undefined) lines.push(`authorization { token: ${text(token)} }`)
  else if (user !== undefined) {
    lines.push(`authorization { user: ${text(user)}, password: ${text(password ?? '')} }`)
  }
  if (tls) lines.push(`tls { cert_file: ${text(tls.certFile)}, key_file: ${text(tls.keyFile)} }`)
  if (more !== undefined) lines.push(more)
  return `${lines.join('\n')}\n`
}
