import {
  ServiceError,
  type ComponentContext,
  type HandlerSet,
  type PluginConfig,
} from '@micrograft/contracts'
import { silentLogger } from '../logger/noop-logger.js'
import { requireComponent } from '../components/contract-shapes.js'
import type { EndpointGroup } from '../handle/endpoints.js'
import { createService, type Service } from './service.js'
import type { ServiceOptions } from './service-options.js'

/**
 * Makes a service of a plugin file of type `handler`: its endpoints, under the name that it gives or
 * that of the plugin. It is not started yet.
 *
 * @throws a `PluginError` where the file is refused; `invalid-option` where it is of another type.
 */
export async function serveFile(
  path: string,
  options: Omit<ServiceOptions, 'name'> & { readonly name?: string } = {},
): Promise<Service> {
  const loader = createService({ name: 'loader', ...options })
  const config = await loader.plugins.load(path)
  const set = await makeHandlers(config, path)
  const service = createService({
    version: config.version,
    ...options,
    name: options.name ?? set.service ?? config.name,
  })
  for (const [type, group] of Object.entries(set.endpoints)) service.handle(type, group as EndpointGroup)
  service.onStop(async () => {
    await set[Symbol.asyncDispose]()
    await loader.stop()
  })
  return service
}

async function makeHandlers(
  { name, type, version, newFunc }: PluginConfig,
  path: string,
): Promise<HandlerSet> {
  const label = `${name} ${version}`
  if (type !== 'handler')
    throw new ServiceError(
      'invalid-option',
      `${label} (${path}) is a ${type} and answers no calls; run a plugin of type handler, and load this one with --plugin`,
    )
  const context: ComponentContext = {
    service: name,
    log: silentLogger,
    signal: new AbortController().signal,
    use: (other) => {
      throw new ServiceError('unsupported', `${label} asks for a ${other} while it is made; ask in a call`)
    },
  }
  return requireComponent('handler', await newFunc({} as never, context), label)
}
