// Two programs talk by the default client, and then, unchanged, by a client from a plugin file.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from '@micrograft/plugin/build'

const folder = await mkdtemp(join(tmpdir(), 'micrograft-xrpc-'))

function start(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const path = fileURLToPath(new URL(`./${program}.js`, import.meta.url))
  const own = { registry: `--registry_address=${join(folder, 'nodes')}`, log: '--log_level=info' }
  return spawn(process.execPath, [path, own.registry, own.log, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Resolves with the first line of standard output, or of the log, that has `part` in it. */
async function line(child: ChildProcess, part: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines: string[] = []
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', (each) => {
        if (each.includes(part)) resolve(each)
        lines.push(each)
      })
    child.once('close', () => reject(new Error(`a program ended without ${part}:\n${lines.join('\n')}`)))
  })
}

async function talk(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const started = performance.now()
  const greeter = start('greeter', args, env)
  await line(greeter, '"event":"started"')
  const caller = start('caller', args, env)
  const reply = await line(caller, 'Hello')
  await once(caller, 'exit')
  greeter.kill('SIGTERM')
  const [status] = (await once(greeter, 'exit')) as [number | null]
  return `${reply}  (greeter ended with ${status}, ${Math.round(performance.now() - started)} ms)`
}

try {
  process.stdout.write('\nTwo programs, greeter and caller, that name no client:\n\n')
  process.stdout.write(`  plainly                                     ${await talk([], {})}\n`)
  const files: string[] = []
  for (const name of ['xrpc-client', 'xrpc-server']) {
    const source = fileURLToPath(new URL(`../../plugins/${name}.ts`, import.meta.url))
    files.push((await build(source, { name, type: name.slice(5), outDir: folder })).path)
  }
  const flags = ['--client=xrpc', '--server=xrpc']
  process.stdout.write(
    `  MICRO_PLUGIN=… ${flags.join(' ')}  ${await talk(flags, { MICRO_PLUGIN: files.join(',') })}\n`,
  )
  process.stdout.write(
    '\nNo line of either was changed: MICRO_PLUGIN named the plugin files, and the flags chose them.\n',
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
