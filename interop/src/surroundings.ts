import { execFile } from 'node:child_process'
import { delimiter } from 'node:path'
import { promisify } from 'node:util'
import { etcd, missing, natsServer } from '@micrograft/test-support'
import { noMulticast } from './multicast.js'
import { goVersion } from './programs.js'

/** What a run needs of the machine. */
export interface Surroundings {
  /** E.g. `go1.26.8`. */
  readonly toolchain: string
  /** Why registries over mDNS cannot be tried. */
  readonly noMulticast: string | undefined
  /** Names and versions of all that takes part beside go-micro. */
  readonly versions: readonly string[]
}

/** @returns Why there can be no run, where there can be none. */
export async function surroundings(): Promise<Surroundings | string> {
  const toolchain = await goVersion()
  if (toolchain === undefined) return 'there is no Go on this machine'
  const reason = missing(etcd) ?? missing(natsServer())
  if (reason !== undefined) return reason
  const versions = [
    `Node ${process.versions.node}`,
    `Go ${toolchain.replace(/^go/, '')}`,
    `etcd ${await versionOf('etcd')}`,
    `NATS ${await versionOf('nats-server')}`,
  ]
  return { toolchain, noMulticast: await noMulticast(), versions }
}

async function versionOf(program: string): Promise<string> {
  const PATH = [process.env['PATH'], '/usr/sbin', '/usr/local/sbin'].join(delimiter)
  const { stdout } = await promisify(execFile)(program, ['--version'], { env: { ...process.env, PATH } })
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'of an unknown version'
}
