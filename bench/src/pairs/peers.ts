import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { timeProcess } from '../processes.js'
import type { Variant } from './variants.js'

/** What the peers need beside their packages. */
export interface Surroundings extends AsyncDisposable {
  /** The program of `peers/go`; `undefined` where Go is not installed. */
  readonly go: string | undefined
  /** Address of a NATS server; `undefined` where that is not installed. */
  readonly nats: string | undefined
  /** Whether the peers' packages are there. */
  readonly packages: boolean
  readonly versions: Readonly<Record<string, string>>
}

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = fileURLToPath(new URL('../../peers', import.meta.url))

/** Nothing of the peers': what needs none of them can be measured all the same. */
export const noPeers: Surroundings = {
  go: undefined,
  nats: undefined,
  packages: false,
  versions: {},
  async [Symbol.asyncDispose]() {},
}

/** Installs the peers' packages as the lock file has them, builds the program in Go, and starts NATS. */
export async function preparePeers(say: (text: string) => void): Promise<Surroundings> {
  installPackages(say)
  const go = buildGo(say)
  const nats = await startNats()
  if (!nats) say('nats-server is not installed: Moleculer is measured over TCP alone')
  return {
    go: go?.program,
    nats: nats?.address,
    packages: true,
    versions: { ...packageVersions(), ...go?.versions, ...nats?.versions },
    async [Symbol.asyncDispose]() {
      await nats?.stop()
    },
  }
}

/** Whether what a variant needs is there. */
export function isThere({ adapter, nats, format }: Variant, around: Surroundings): boolean {
  if (!(adapter instanceof URL)) return around.go !== undefined
  if (nats && around.nats === undefined) return false
  return around.packages || !(adapter.pathname.endsWith('.mjs') || format === 'protobuf')
}

function installPackages(say: (text: string) => void): void {
  const changed = (path: string) => {
    try {
      return statSync(join(folder, path)).mtimeMs
    } catch {
      return 0
    }
  }
  if (changed('node_modules/.package-lock.json') >= changed('package-lock.json')) return
  say('installing the peers’ packages in bench/peers')
  timeProcess('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
}

function packageVersions(): Record<string, string> {
  const read = (path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8')) as { version: string }
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  return Object.fromEntries(
    Object.keys(dependencies).map((name) => [name, read(`node_modules/${name}/package.json`).version]),
  )
}

function buildGo(say: (text: string) => void) {
  if (spawnSync('go', ['version']).status !== 0) {
    say('Go is not installed: go-micro is not measured')
    return undefined
  }
  say('building go-micro’s server and client')
  const into = join(root, '.cache', 'bench-peers')
  mkdirSync(into, { recursive: true })
  const program = join(into, 'go-micro')
  const source = join(folder, 'go')
  const env = { ...process.env, GOFLAGS: '-mod=readonly -buildvcs=false', GOWORK: 'off', CGO_ENABLED: '0' }
  timeProcess('go', ['build', '-o', program, '.'], { cwd: source, env })
  const module = /go-micro\.dev\/v5 v(\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1] ?? ''
  return { program, versions: { 'go-micro': module } }
}

async function startNats() {
  const command = ['nats-server', '/usr/sbin/nats-server'].find(
    (each) => spawnSync(each, ['--version']).status === 0,
  )
  if (!command) return undefined
  const version = /v(\d\S*)/.exec(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? ''
  const child = spawn(command, ['--addr', '127.0.0.1', '--port', '-1'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  const port = await new Promise<number>((resolve, reject) => {
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      text += more
      const found = /Listening for client connections on \S+:(\d+)/.exec(text)
      if (found) resolve(Number(found[1]))
    })
    void exited.then(() => reject(new Error(`nats-server ended: ${text}`)))
  })
  await answers(port)
  return {
    address: `nats://127.0.0.1:${port}`,
    versions: { 'nats-server': version },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function answers(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'data')
  socket.destroy()
}
