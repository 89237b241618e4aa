// A service in a process of its own runs from a plugin file and is called without a break, while its
// handlers, its server and the caller's client are swapped again and again.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { AdminClient, adminNodes, createService, type SwapReport } from 'micrograft'
import { build } from '@micrograft/plugin/build'
import { underLoad, type Stretch } from './load.js'

const calmMs = 2000
/** Pause after each swap. */
const pauseMs = 50
const swapsOfEach = 12

const folder = await mkdtemp(join(tmpdir(), 'micrograft-hot-update-'))
process.env['XDG_RUNTIME_DIR'] = folder
const bin = join(
  createRequire(import.meta.url).resolve('@micrograft/cli/package.json'),
  '../bin/micrograft.js',
)
const flags = ['--registry=local', `--registry_address=${folder}/nodes`, '--log_level=error']

const files: string[] = []
for (const version of [1, 2]) {
  const source = fileURLToPath(new URL(`../../plugins/greeter_v${version}.ts`, import.meta.url))
  files.push(
    (await build(source, { name: 'greeter', type: 'handler', version: `${version}.0.0`, outDir: folder }))
      .path,
  )
}
const [v1, v2] = files as [string, string]

const greeter = micrograft('run', v1, ...flags)
console.log('the service:', await firstLine(greeter))
const caller = createService({ name: 'caller', logger: 'noop' })
try {
  await caller.init(flags)
  await caller.start()
  await demonstrate()
} finally {
  await caller.stop()
  greeter.kill('SIGTERM')
  await once(greeter, 'close')
  await rm(folder, { recursive: true, force: true })
}

async function demonstrate(): Promise<void> {
  const hello = () => caller.client.call<{ msg: string }>('greeter', 'Say.Hello', { name: 'John' })
  console.log('\nversion 1 says:', (await hello()).msg)
  console.log('$ micrograft swap greeter handler greeter-2.0.0.plugin.cjs --watch 0s')
  const swapped = micrograft('swap', 'greeter', 'handler', v2, '--watch', '0s')
  swapped.stdout?.pipe(process.stdout, { end: false })
  await once(swapped, 'close')
  console.log('version 2 says:', (await hello()).msg)

  const calm = await underLoad(caller, () => pause(calmMs))
  const reports: SwapReport[] = []
  const swaps = await underLoad(caller, () => swapAll(reports))
  console.log(
    `\n${'under load'.padEnd(28)}${'calls'.padStart(9)}${'failed'.padStart(8)}${'swaps'.padStart(7)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}`,
  )
  console.log(line('without swaps', calm, 0))
  console.log(line('handlers, server and client', swaps, reports.length))
  const failures = [...calm.failures, ...swaps.failures]
  if (failures.length > 0 || reports.some(({ drained }) => !drained)) {
    console.error(failures[0] ?? new Error('calls were cut at a drain deadline'))
    process.exitCode = 1
  }
}

/** The handlers and the server of the service, by its admin socket, and the client of this process. */
async function swapAll(reports: SwapReport[]): Promise<void> {
  const [node] = await adminNodes('greeter')
  if (!node) throw new Error('the service has no admin socket')
  const admin = await AdminClient.connect(node.path)
  const options = { watchMs: 0 }
  try {
    for (let i = 0; i < swapsOfEach; i++) {
      const target = i % 2 === 0 ? v1 : v2
      for (const swap of [
        () => admin.ask<SwapReport>({ do: 'swap', type: 'handler', target, options }),
        () => admin.ask<SwapReport>({ do: 'swap', type: 'server', target: 'rpc', options }),
        () => caller.swap('client', 'rpc', options),
      ]) {
        reports.push(await swap())
        await pause(pauseMs)
      }
    }
  } finally {
    admin[Symbol.dispose]()
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function line(what: string, { calls, failures, p50, p99 }: Stretch, swaps: number): string {
  const number = (value: number, width: number) => value.toLocaleString('en').padStart(width)
  return `${what.padEnd(28)}${number(calls, 9)}${number(failures.length, 8)}${number(swaps, 7)}${p50.toFixed(2).padStart(9)}${p99.toFixed(2).padStart(9)}`
}

function micrograft(...args: string[]): ChildProcess {
  return spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface(child.stdout as NonNullable<ChildProcess['stdout']>)) return line
  throw new Error('the service did not start')
}
