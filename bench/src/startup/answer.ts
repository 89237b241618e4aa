import { mkdir } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from '@micrograft/plugin/build'
import { createService } from 'micrograft'
import { number, spread, table } from '../markdown.js'
import { interleave } from '../rounds.js'
import { figure, type Figure } from '../statistics.js'
import { firstAnswer, type Started } from './first-answer.js'

export type Variant = 'http' | 'bare' | 'small' | 'large'

/** Milliseconds from the start of a process to its first answer. */
export interface AnswerResult {
  readonly variants: Readonly<
    Record<
      Variant,
      { readonly ms: Figure; readonly overHttp: Figure; readonly pluginBytes: number | undefined }
    >
  >
}

export interface AnswerOptions {
  readonly folder: string
  readonly rounds: number
}

const httpChild = new URL('http-child.js', import.meta.url)
const serviceChild = new URL('service-child.js', import.meta.url)
const hello = { msg: 'Hello John' }

export async function measureAnswers({ folder, rounds }: AnswerOptions): Promise<AnswerResult> {
  // The registry of these services and of nobody else.
  const env = { XDG_RUNTIME_DIR: join(folder, 'run'), TMPDIR: folder }
  await mkdir(env.XDG_RUNTIME_DIR, { mode: 0o700 })
  const plugins = { small: await buildPlugin('small', folder), large: await buildPlugin('large', folder) }
  const caller = createService({ name: 'caller', registry: 'memory', logger: 'noop' })
  await caller.init([], {})
  await caller.start()
  const service = (plugin?: string): Started => ({
    script: serviceChild,
    args: plugin === undefined ? [] : ['--middleware=mark'],
    env: plugin === undefined ? env : { ...env, MICRO_PLUGIN: plugin },
    ask: (address) => caller.client.call('greeter', 'Say.Hello', { name: 'John' }, { address, retries: 0 }),
    reply: plugin === undefined ? hello : { ...hello, marked: true },
  })
  const started: Readonly<Record<Variant, Started>> = {
    http: { script: httpChild, env, ask: askHttp, reply: hello },
    bare: service(),
    small: service(plugins.small.path),
    large: service(plugins.large.path),
  }
  try {
    // What this process does for the first time does not count.
    for (const each of Object.values(started)) await firstAnswer(each)
    const measured = await interleave(rounds, {
      http: () => firstAnswer(started.http),
      bare: () => firstAnswer(started.bare),
      small: () => firstAnswer(started.small),
      large: () => firstAnswer(started.large),
    })
    const of = (variant: Variant, pluginBytes?: number) => ({
      ms: figure(measured[variant]),
      overHttp: figure(measured[variant].map((ms, round) => ms - (measured.http[round] as number))),
      pluginBytes,
    })
    return {
      variants: {
        http: of('http'),
        bare: of('bare'),
        small: of('small', plugins.small.bytes),
        large: of('large', plugins.large.bytes),
      },
    }
  } finally {
    await caller.stop()
  }
}

function buildPlugin(size: 'small' | 'large', folder: string): Promise<{ path: string; bytes: number }> {
  const entry = fileURLToPath(new URL(`../../fixtures/startup-${size}.ts`, import.meta.url))
  return build(entry, { outDir: folder, version: '1.0.0', type: 'middleware', minify: size === 'large' })
}

function askHttp(address: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request(`http://${address}/`, { method: 'POST', agent: false }, (response) =>
      json(response).then(resolve, reject),
    )
      .on('error', reject)
      .end(JSON.stringify({ name: 'John' }))
  })
}

export function describeAnswers({ variants }: AnswerResult): string {
  const size = (bytes = 0) => `${number(bytes / 1000)} KB`
  const row = (label: string, variant: Variant) => [
    label,
    spread(variants[variant].ms),
    variant === 'http' ? '' : spread(variants[variant].overHttp),
  ]
  return `## From the start of a process to its first answer

Each process is started, says its address as soon as it has one, and is asked at once, by a process that has been running. The service has its defaults: the rpc server over TCP, the local registry, JSON. A plugin is middleware that every request goes through; the answer shows that it did.

${table(
  ['', 'ms', 'ms over node:http'],
  [
    row('`node:http`, a server that answers with JSON', 'http'),
    row('a service without a plugin', 'bare'),
    row(`a service with a plugin of ${size(variants.small.pluginBytes)}`, 'small'),
    row(`a service with a plugin of ${size(variants.large.pluginBytes)}, with \`ajv\` in it`, 'large'),
  ],
)}
`
}
