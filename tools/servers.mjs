// Makes sure of the servers that tests run against: those that are missing are installed where that can
// be done without asking, as root on a Debian. Elsewhere tests skip what is not there, and say so.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Programs, and the Debian packages that have them. */
const packages = {
  'nats-server': 'nats-server',
  'redis-server': 'redis-server',
  mosquitto: 'mosquitto',
  etcd: 'etcd-server',
  'rabbitmq-server': 'rabbitmq-server',
  mariadbd: 'mariadb-server',
  '/usr/lib/postgresql': 'postgresql',
}

function isThere(program) {
  if (program.startsWith('/')) return existsSync(program)
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.some((folder) => existsSync(join(folder, program)))
}

/** Installs what is missing, where it can be. What fails is told, and is no failure here: the tests know what they need. */
export function installServers() {
  const missing = Object.entries(packages).filter(([program]) => !isThere(program))
  if (missing.length === 0 || process.getuid?.() !== 0 || !isThere('apt-get')) return
  const names = missing.map(([, name]) => name)
  console.log(`installing ${names.join(', ')} for the tests`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env })
  const install = () => apt('install', '-y', '--no-install-recommends', ...names).status === 0
  // The list of packages may be old, or not there yet.
  if (install() || (apt('update').status === 0 && install())) return
  console.error(`could not install ${names.join(', ')}`)
}
