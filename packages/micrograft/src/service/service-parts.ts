import { ServiceError, type Client, type PluginConfig, type SharedType } from '@micrograft/contracts'
import { Caller } from '../calls/caller.js'
import type { LocalCalls } from '../calls/local-calls.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import { pluginFilesIn } from '../catalogue/find-files.js'
import type { Plugins } from '../catalogue/plugins.js'
import { Codecs } from '../codec/codecs.js'
import { importedPlugin, resolveChoice, type ResolvedChoice } from '../components/choice.js'
import { Components } from '../components/components.js'
import { disposeAll } from '../components/dispose-all.js'
import type { Moves } from '../components/keepers.js'
import { Maker } from '../components/maker.js'
import type { SwapEvent } from '../components/swap-options.js'
import { Events } from '../events/events.js'
import { parseFlags, type Flags } from '../flags/parse.js'
import { HandlerSets } from '../handle/handler-sets.js'
import { composeChains, type Chains } from '../middleware/chain.js'
import { MiddlewareStack } from '../middleware/middleware-stack.js'
import {
  checkName,
  defaultChoices,
  flagOptions,
  settle,
  sharedTypes,
  transportOf,
  type ServiceOptions,
  type Settings,
} from './service-options.js'
import { Swaps } from './swaps.js'

/** Everything that exists once flags and plugins are read. */
export interface Parts {
  readonly settings: Settings
  readonly flags: Flags
  readonly components: Components
  readonly codecs: Codecs
  readonly middleware: MiddlewareStack
  readonly handlers: HandlerSets
  readonly swaps: Swaps
  readonly chains: Chains
  readonly caller: Caller
  readonly events: Events
  readonly help: boolean
}

/** What parts are made of, and what they tell. */
export interface PartsSource {
  readonly options: ServiceOptions
  readonly catalogue: Catalogue
  readonly plugins: Plugins
  readonly moves: Moves
  readonly tell: (event: Omit<SwapEvent, 'service'>) => void
  /** Whether the service itself handles an endpoint. */
  readonly handles: (endpoint: string) => boolean
  /** The endpoints have changed. */
  readonly changed: () => Promise<void>
  /** Where calls of the service to itself are made, while it serves. */
  readonly local: () => LocalCalls | undefined
}

/**
 * Reads flags, loads plugins and puts a service together, in this order: a plugin's name is a legal
 * value of a flag. What runs from here on is the logger, and handlers of plugins; where it rejects, nothing.
 *
 * @throws `invalid-option`, `not-found`, and a `PluginError` where a plugin file is refused.
 */
export async function makeParts(
  source: PartsSource,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Parts> {
  const { options, catalogue, plugins, tell, moves } = source
  const { flags, help } = parseFlags(argv, env)
  const settings = settle(options, flags)
  await loadPlugins(source, flags, settings)
  const maker: Maker = new Maker({
    service: () => settings.name,
    catalogue,
    plugins,
    makeTimeoutMs: settings.makeTimeoutMs,
    use: (type, name) => components.use(type, name),
  })
  const components: Components = new Components({
    service: () => settings.name,
    catalogue,
    maker,
    choices: choose(source, flags),
    tell,
    moves,
  })
  const handlers = new HandlerSets({ tell, taken: source.handles, changed: source.changed })
  const codecs = new Codecs(tell)
  const middleware = new MiddlewareStack(tell)
  try {
    await components.start(['logger'])
    await addHandlers(source, maker, handlers, settings)
    await codecs.make(catalogue, maker)
    await addMiddleware(source, flags, maker, middleware)
  } catch (error) {
    // Why it cannot be made is what is told.
    const made = [middleware, codecs, handlers, { [Symbol.asyncDispose]: () => components.dispose() }]
    await disposeAll('parts', made).catch(() => undefined)
    throw error
  }
  const chains = composeChains(middleware.layers)
  const caller = new Caller({
    service: settings.name,
    defaults: { timeoutMs: settings.callTimeoutMs, retries: settings.callRetries },
    codec: codecs.find,
    client: clientsOf(components, catalogue),
    ready: () => components.slot('client').take(),
    selector: components.use('selector'),
    chains: () => chains,
    local: settings.preferLocal ? source.local : () => undefined,
  })
  const events = new Events({
    broker: () => components.use('broker'),
    codec: codecs.find,
    chains: () => chains,
    log: () => components.use('logger'),
  })
  const swaps = new Swaps({ catalogue, plugins, maker, components, codecs, middleware, handlers })
  return { settings, flags, components, codecs, middleware, handlers, swaps, chains, caller, events, help }
}

/** The service's own client, and for a node of another protocol the one that is called by that name. */
function clientsOf(components: Components, catalogue: Catalogue): (protocol: string | undefined) => Client {
  const own = components.use('client')
  const others = new Map<string, Client>()
  return (protocol) => {
    if (protocol === undefined || protocol === own.protocol) return own
    let other = others.get(protocol)
    if (!other) {
      if (!catalogue.names('client').includes(protocol))
        throw new ServiceError(
          'unsupported',
          `the node speaks ${protocol}, and there is no client of that name; there are ${catalogue.names('client').join(', ')}`,
        )
      other = components.use('client', protocol)
      others.set(protocol, other)
    }
    return other
  }
}

/** Makes the handlers that the service is to have; the first that names the service does, where nobody else has. */
async function addHandlers(
  { options, catalogue, plugins }: PartsSource,
  maker: Maker,
  handlers: HandlerSets,
  settings: Settings,
): Promise<void> {
  for (const each of options.handlers ?? []) {
    const config = await handlerConfig(each, catalogue, plugins)
    const { service } = await handlers.add(maker.candidate('handler', config, {}))
    if (settings.name === '') settings.name = service ?? config.name
  }
  checkName(settings.name)
}

async function handlerConfig(
  given: PluginConfig | string,
  catalogue: Catalogue,
  plugins: Plugins,
): Promise<PluginConfig> {
  const isName = typeof given === 'string' && catalogue.names('handler').includes(given)
  if (isName) return catalogue.find('handler', given)
  const config = typeof given === 'string' ? await plugins.load(given) : given
  if (config.type !== 'handler') {
    await plugins.tidy(config)
    throw new ServiceError(
      'invalid-option',
      `${config.name} ${config.version} is a ${config.type} and answers no calls; run a plugin of type handler, and load this one with --plugin`,
    )
  }
  catalogue.add(config)
  return config
}

async function loadPlugins(
  { options, catalogue, plugins: loader }: PartsSource,
  flags: Flags,
  settings: Settings,
): Promise<void> {
  const { plugins = [] } = options
  for (const type of sharedTypes) {
    const imported = importedPlugin(options[type])
    if (imported) catalogue.add(imported)
  }
  for (const each of plugins) if (typeof each !== 'string') catalogue.add(each)
  const files = [...plugins.filter((each) => typeof each === 'string'), ...(flags.plugin ?? [])]
  const onError = (entry: string, error: Error) => {
    if (settings.pluginErrors === 'stop') throw error
    process.emitWarning(`the plugin ${entry} was not loaded: ${error.message}`, {
      type: 'MicrograftWarning',
    })
  }
  await loader.loadAll(files, onError)
  if (settings.pluginDir !== undefined && (await pluginFilesIn(settings.pluginDir)).length > 0)
    await loader.loadAll([settings.pluginDir], onError)
}

/** Flags before options in code, each checked against the catalogue now. */
function choose({ options, catalogue }: PartsSource, flags: Flags): Record<SharedType, ResolvedChoice> {
  const speaks = [
    flags.server ?? resolveChoice(options.server, '').name,
    flags.client ?? resolveChoice(options.client, '').name,
  ]
  const transport = speaks.map(transportOf).find((name) => name !== undefined) ?? defaultChoices.transport
  const choices = sharedTypes.map((type) => {
    const inCode = resolveChoice(options[type], type === 'transport' ? transport : defaultChoices[type])
    const flag = flags[type]
    const chosen: ResolvedChoice =
      flag === undefined
        ? inCode
        : { name: flag, options: flag === inCode.name ? inCode.options : {}, asked: true }
    if (flag !== undefined) requireKnown(catalogue, type, flag)
    if (chosen.asked) catalogue.find(type, chosen.name)
    const given = flagOptions(type, flags)
    // What has options was asked for too: they must be right before the service takes a request.
    const asked = chosen.asked || Object.keys(given).length > 0
    return [type, { ...chosen, asked, options: { ...chosen.options, ...given } }]
  })
  return Object.fromEntries(choices) as Record<SharedType, ResolvedChoice>
}

function requireKnown(catalogue: Catalogue, type: SharedType, name: string): void {
  try {
    catalogue.find(type, name)
  } catch (error) {
    throw new ServiceError('invalid-option', `--${type}=${name}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

async function addMiddleware(
  { options, catalogue }: PartsSource,
  flags: Flags,
  maker: Maker,
  stack: MiddlewareStack,
): Promise<void> {
  for (const each of flags.middleware ?? options.middleware ?? []) {
    await stack.add(
      typeof each === 'string' ? maker.candidate('middleware', catalogue.find('middleware', each), {}) : each,
    )
  }
}
