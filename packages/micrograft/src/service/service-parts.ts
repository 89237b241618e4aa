import { ServiceError, type ComponentContext, type Middleware, type SharedType } from '@micrograft/contracts'
import { Caller } from '../calls/caller.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Plugins } from '../catalogue/plugins.js'
import { Codecs } from '../codec/codecs.js'
import { importedPlugin, resolveChoice, type ResolvedChoice } from '../components/choice.js'
import { Components } from '../components/components.js'
import { requireComponent } from '../components/contract-shapes.js'
import { Events } from '../events/events.js'
import { parseFlags, type Flags } from '../flags/parse.js'
import { composeChains, type Chains } from '../middleware/chain.js'
import {
  defaultChoices,
  flagOptions,
  settle,
  sharedTypes,
  type ServiceOptions,
  type Settings,
} from './service-options.js'

/** Everything that exists once flags and plugins are read. */
export interface Parts {
  readonly settings: Settings
  readonly flags: Flags
  readonly components: Components
  readonly codecs: Codecs
  readonly chains: Chains
  readonly caller: Caller
  readonly events: Events
  readonly help: boolean
}

/** What parts are made of. */
export interface PartsSource {
  readonly options: ServiceOptions
  readonly catalogue: Catalogue
  readonly plugins: Plugins
}

/**
 * Reads flags, loads plugins and puts a service together, in this order: a plugin's name is a legal
 * value of a flag. What runs from here on is the logger alone.
 *
 * @throws `invalid-option`, `not-found`, and a `PluginError` where a plugin file is refused.
 */
export async function makeParts(
  source: PartsSource,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Parts> {
  const { options, catalogue } = source
  const { flags, help } = parseFlags(argv, env)
  const settings = settle(options, flags)
  await loadPlugins(source, flags, settings)
  const components = new Components({
    service: settings.name,
    catalogue: catalogue,
    choices: choose(source, flags),
    makeTimeoutMs: settings.makeTimeoutMs,
  })
  await components.start(['logger'])
  const context = {
    service: settings.name,
    log: components.use('logger'),
    signal: new AbortController().signal,
    use: components.use.bind(components),
  }
  const codecs = await Codecs.make(catalogue, context)
  const chains = composeChains(await makeMiddleware(source, flags, context))
  const caller = new Caller({
    service: settings.name,
    defaults: { timeoutMs: settings.callTimeoutMs, retries: settings.callRetries },
    codec: codecs.find,
    client: components.use('client'),
    selector: components.use('selector'),
    chains: () => chains,
  })
  const events = new Events({
    broker: () => components.use('broker'),
    codec: codecs.find,
    chains: () => chains,
    log: () => components.use('logger'),
  })
  return { settings, flags, components, codecs, chains, caller, events, help }
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
  await loader.loadAll(files, (entry, error) => {
    if (settings.pluginErrors === 'stop') throw error
    process.emitWarning(`the plugin ${entry} was not loaded: ${error.message}`, {
      type: 'MicrograftWarning',
    })
  })
}

/** Flags before options in code, each checked against the catalogue now. */
function choose({ options, catalogue }: PartsSource, flags: Flags): Record<SharedType, ResolvedChoice> {
  const choices = sharedTypes.map((type) => {
    const inCode = resolveChoice(options[type], defaultChoices[type])
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

async function makeMiddleware(
  { options, catalogue }: PartsSource,
  flags: Flags,
  context: ComponentContext,
): Promise<readonly Middleware[]> {
  const named: readonly (Middleware | string)[] = flags.middleware ?? options.middleware ?? []
  return Promise.all(
    named.map(async (each) => {
      if (typeof each !== 'string') return each
      const { version, newFunc } = catalogue.find('middleware', each)
      return requireComponent(
        'middleware',
        await newFunc({} as never, context),
        `middleware ${each} ${version}`,
      )
    }),
  )
}
