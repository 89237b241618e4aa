import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServerKind, ServerPlace } from '../server-process.js'

/**
 * Mosquitto, for anybody without a name and for the user micrograft with the password secret. What it
 * knows is written to its folder each second; packets have at most 8 MiB, and any number of messages
 * waits for a client.
 */
export const mosquitto: ServerKind = {
  name: 'Mosquitto',
  url: 'mqtt://127.0.0.1',
  program: 'mosquitto',
  async arguments({ folder, port }) {
    if (!existsSync(join(folder, 'passwords'))) await mosquittoPassword({ folder }, 'secret')
    const config = [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      `password_file ${join(folder, 'passwords')}`,
      'persistence true',
      `persistence_location ${folder}/`,
      'autosave_interval 1',
      'max_queued_messages 0',
      'max_packet_size 8388608',
      'set_tcp_nodelay true',
      // As root it would become another user, whom the folder is closed to.
      'user root',
      '',
    ]
    await writeFile(join(folder, 'mosquitto.conf'), config.join('\n'))
    return ['-c', join(folder, 'mosquitto.conf')]
  },
}

/** Gives the user micrograft a password, from the next start on. */
export async function mosquittoPassword(
  { folder }: Pick<ServerPlace, 'folder'>,
  password: string,
): Promise<void> {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, 101, 64, 'sha512')
  const line = `micrograft:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`
  await writeFile(join(folder, 'passwords'), line, { mode: 0o600 })
}
