import { copyFile, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '@micrograft/plugin/build'

/** Every type that is swapped under load. */
export const swappedTypes = [
  'client',
  'server',
  'transport',
  'registry',
  'selector',
  'broker',
  'store',
  'codec',
  'auth',
  'middleware',
  'handler',
] as const

export type SwappedType = (typeof swappedTypes)[number]

/** How a plugin may fail before the switch. */
export const failures = ['throws', 'rejects', 'never-settles', 'unfit', 'tampered'] as const

export type Failure = (typeof failures)[number]

/** Paths of the plugin files of one type. */
export interface TypeFiles {
  /** What a swap goes to in turn; the second of the handlers has 190 KB. */
  readonly versions: readonly [string, string]
  readonly broken: Readonly<Record<Failure, string>>
}

export type PluginFiles = Readonly<Record<SwappedType, TypeFiles>>

/** Components of the framework, each made a plugin file of. */
const components: Readonly<
  Record<Exclude<SwappedType, 'middleware' | 'handler'>, readonly [string, string, string]>
> = {
  client: ['rpc', 'rpc/rpc-client.js', 'rpcClient'],
  server: ['rpc', 'rpc/rpc-server.js', 'rpcServer'],
  transport: ['tcp', 'transport/tcp-transport.js', 'tcpTransport'],
  registry: ['local', 'registry/local-registry.js', 'localRegistry'],
  selector: ['registry', 'selector/registry-selector.js', 'registrySelector'],
  broker: ['http', 'broker/http-broker.js', 'httpBroker'],
  store: ['memory', 'store/memory-store.js', 'memoryStore'],
  codec: ['json', 'codec/json-codec.js', 'jsonCodec'],
  auth: ['noop', 'auth/noop-auth.js', 'noopAuth'],
}

/** Imports and `newFunc` of a plugin, and what it is chosen by. */
interface Source {
  readonly name: string
  readonly imports: string
  readonly newFunc: string
}

const middleware: Source = {
  name: 'around',
  imports: '',
  newFunc: `() => ({
    name: 'around',
    call: (context, next) => next(context),
    handle: async (context, next) => await next(context),
    publish: (context, next) => next(context),
    subscribe: (delivery, next) => next(delivery),
  })`,
}

/** `Say.Hello`, a server stream and a two-way stream; it counts, and hands the count over. */
const handler: Source = {
  name: 'greeter',
  imports: `import { serverStream, twoWay } from '@micrograft/contracts'`,
  newFunc: `async (options) => {
    let count = options.state?.count ?? 0
    // As one that connects to something: calls go on meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 3))
    return {
      endpoints: { Say: {
        Hello: ({ name }) => (count++, { msg: 'Hello ' + name, version }),
        Count: serverStream({ async *handle({ to }) {
          for (let i = 1; i <= to; i++) {
            if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
            yield i
          }
        } }),
        Echo: twoWay({ async *handle(requests) { for await (const each of requests) yield each } }),
        Total: () => count,
      } },
      dehydrate: () => ({ count }),
      hydrate: (state) => { count = state.count },
      async [Symbol.asyncDispose]() {},
    }
  }`,
}

/** Code of another package that comes with the second version; used, so that it stays. */
const large = `import { Ajv } from 'ajv'
export const exercise = () => new Ajv().compile({ type: 'object' })({})
export const stamp = 7310123456789`

/**
 * Builds two versions and the broken ones of each of `types` into `folder`. The framework's own
 * components are copied and built as anybody's would be.
 */
export async function buildPluginFiles(
  folder: string,
  types: readonly SwappedType[] = swappedTypes,
): Promise<PluginFiles> {
  const sources = join(folder, 'sources')
  await mkdir(sources, { recursive: true })
  await cp(framework(), join(sources, 'framework'), { recursive: true })
  await symlink(
    fileURLToPath(new URL('../../../node_modules', import.meta.url)),
    join(sources, 'node_modules'),
  )
  await writeFile(
    join(sources, 'package.json'),
    '{ "name": "swapped", "version": "1.0.0", "type": "module" }',
  )
  const built: Partial<Record<SwappedType, TypeFiles>> = {}
  for (const type of types) built[type] = await buildType(type, sources, folder)
  return built as PluginFiles
}

function framework(): string {
  return dirname(fileURLToPath(import.meta.resolve('micrograft')))
}

function sourceOf(type: SwappedType): Source {
  if (type === 'middleware') return middleware
  if (type === 'handler') return handler
  const [name, module, factory] = components[type]
  return { name, imports: `import { ${factory} } from './framework/${module}'`, newFunc: factory }
}

async function buildType(type: SwappedType, sources: string, folder: string): Promise<TypeFiles> {
  const source = sourceOf(type)
  const make = async (variant: string, version: string, text: string) => {
    const entry = join(sources, `${type}-${variant}.ts`)
    await writeFile(entry, text)
    const name = `${type}-${variant}`
    return (await build(entry, { name, version, type, outDir: folder, minify: variant === 'two' })).path
  }
  const text = (version: string, newFunc: string, more: { top?: string; check?: string } = {}) => `
    // @ts-nocheck
    ${source.imports}
    ${more.top ?? ''}
    const version = '${version}'
    export const Plugin = {
      name: '${source.name}', type: '${type}', version, newFunc: ${newFunc},
      ${more.check === undefined ? '' : `check: ${more.check},`}
    }`
  const good = source.newFunc
  const first = await make('one', '1.0.0', text('1.0.0', good))
  const second = await make('two', '2.0.0', text('2.0.0', good, type === 'handler' ? { top: large } : {}))
  const tampered = join(folder, `${type}-tampered.plugin.cjs`)
  await copyFile(first, tampered)
  await writeFile(tampered, `${await readFile(tampered, 'utf8')} `)
  return {
    versions: [first, second],
    broken: {
      throws: await make('throws', '3.0.0', text('3.0.0', good, { top: `throw new Error('at the top')` })),
      rejects: await make('rejects', '3.0.1', text('3.0.1', `() => Promise.reject(new Error('refused'))`)),
      'never-settles': await make('never', '3.0.2', text('3.0.2', '() => new Promise(() => undefined)')),
      // It was made, and so must be disposed.
      unfit: await make(
        'unfit',
        '3.0.3',
        text('3.0.3', good, { check: `() => Promise.reject(new Error('not fit'))` }),
      ),
      tampered,
    },
  }
}

/** What the error of a swap to each broken file says. */
export const reasons: Readonly<Record<Failure, RegExp>> = {
  throws: /at the top/,
  rejects: /refused/,
  'never-settles': /was not made within/,
  unfit: /not fit/,
  tampered: /tampered\.plugin\.cjs/,
}
