import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { PluginConfig } from '@micrograft/contracts'
import { clientPlugin, serverPlugin, type GrpcClientOptions, type GrpcServerOptions } from '@micrograft/grpc'
import { createPlatform, installedPackage } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { clientServerCases, comply, componentContext } from '@micrograft/testing'
import { createService } from 'micrograft'
import { direct, GrpcSubject, type Makers } from './support/grpc-subject.js'

comply(test, 'grpc', clientServerCases, { create: () => GrpcSubject.make(direct()) })

comply(test, 'grpc over several connections', clientServerCases, {
  create: () => GrpcSubject.make(direct({ connections: 3 })),
})

comply(test, 'grpc from its plugin files', clientServerCases, {
  create: async () => GrpcSubject.make(await (built ??= fromPluginFiles())),
})

comply(test, 'grpc after a swap', clientServerCases, {
  create: () =>
    GrpcSubject.make({ client: () => swappedIn(clientPlugin), server: () => swappedIn(serverPlugin) }),
})

let built: Promise<Makers> | undefined
const platform = createPlatform({
  host: { '@micrograft/contracts': installedPackage('@micrograft/contracts', import.meta.url) },
})
const folder = mkdtemp(join(tmpdir(), 'micrograft-grpc-'))
after(async () => {
  await platform.close()
  await rm(await folder, { recursive: true, force: true })
})

async function fromPluginFiles(): Promise<Makers> {
  const client = await fromPluginFile<'client', GrpcClientOptions>('client')
  const server = await fromPluginFile<'server', GrpcServerOptions>('server')
  return {
    client: () => client({}, componentContext()),
    server: () => server({}, componentContext()),
  }
}

async function fromPluginFile<K extends 'client' | 'server', O>(type: K) {
  const entry = fileURLToPath(new URL(`../src/${type}.ts`, import.meta.url))
  const { path } = await build(entry, { name: `${type}-grpc`, type, version: '0.1.0', outDir: await folder })
  const file = await platform.open(path)
  const { newFunc } = file.lookup('Plugin') as PluginConfig<K>
  return newFunc as unknown as (
    options: O,
    context: ReturnType<typeof componentContext>,
  ) => ReturnType<PluginConfig<K>['newFunc']>
}

/** Swaps a plugin in for another of its kind in a service, and gives the service's reference to it. */
async function swappedIn<K extends 'client' | 'server'>(plugin: PluginConfig<K>) {
  const service = createService({ name: 'test', plugins: [plugin], [plugin.type]: plugin.name })
  await service.start()
  await service.swap(plugin.type, plugin.name, { watchMs: 0 })
  // The reference leaves disposing to the service.
  return Object.create(service.use(plugin.type), {
    [Symbol.asyncDispose]: { value: () => service.stop() },
  }) as Awaited<ReturnType<PluginConfig<K>['newFunc']>>
}
