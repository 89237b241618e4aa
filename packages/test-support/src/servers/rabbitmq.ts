import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../free-port.js'
import type { ServerKind, ServerPlace } from '../server-process.js'

// Debian's own programs in the PATH go to one user and one folder for logs; these do what they are told.
const scripts = '/usr/lib/rabbitmq/bin'
const script = (name: string) => (existsSync(join(scripts, name)) ? join(scripts, name) : name)

const node = 'rabbit@localhost'
const cookie = 'micrograft'
const distributionPort = (folder: string) => readFileSync(join(folder, 'distribution-port'), 'utf8')

/**
 * RabbitMQ, the user guest with the password guest, largest message 8 MiB. Its Erlang node listens on
 * a port that is told to everybody, so no epmd is started: several servers have the same node name and
 * do not meet, and nothing outlives one.
 */
export const rabbitmq: ServerKind = {
  name: 'RabbitMQ',
  url: 'amqp://guest:guest@127.0.0.1',
  program: script('rabbitmq-server'),
  async arguments({ folder }) {
    const config = [
      'max_message_size = 8388608',
      'disk_free_limit.absolute = 1MB',
      'log.console.level = warning',
    ]
    await writeFile(join(folder, 'rabbitmq.conf'), [...config, ''].join('\n'))
    await writeFile(join(folder, 'enabled_plugins'), '[].\n')
    await writeFile(join(folder, 'distribution-port'), String(await freePort()))
    return []
  },
  env: ({ folder, port }) => ({
    HOME: folder,
    RABBITMQ_NODENAME: node,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    // Named here already, the node skips what needs epmd. It does not spin while it waits.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-sname ${node} ${withoutEpmd(folder)} -setcookie ${cookie} +sbwt none +sbwtdcpu none +sbwtdio none`,
  }),
  ready: answers,
}

/** What an operator does: `rabbitmqctl` on one server; gives what it wrote. */
export async function rabbitmqctl({ folder }: ServerPlace, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    script('rabbitmqctl'),
    ['-n', node, '--erlang-cookie', cookie, ...args],
    {
      env: {
        ...process.env,
        HOME: folder,
        RABBITMQ_CONF_ENV_FILE: '/dev/null',
        RABBITMQ_CTL_ERL_ARGS: `${withoutEpmd(folder)} -dist_listen false`,
      },
    },
  )
  return stdout
}

function withoutEpmd(folder: string): string {
  return `-start_epmd false -erl_epmd_port ${distributionPort(folder)}`
}

/** Resolves when the server begins the handshake of AMQP 0-9-1. */
function answers({ port }: ServerPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('AMQP\0\0\x09\x01'))
    socket.setTimeout(2000, () => socket.destroy())
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject).once('close', () => reject(new Error('it closed the connection')))
  })
}
