import assert from 'node:assert/strict'
import {
  PluginError,
  type OpenOptions,
  type Platform,
  type PlatformOptions,
  type Plugin,
  type PluginErrorCode,
} from '@micrograft/plugin'
import { handMade } from './hand-made.js'
import type { Workshop } from './workshop.js'

/** A host with one plugin open and in use, which nothing that goes wrong elsewhere may touch. */
export interface LoneHost {
  readonly platform: Platform
  readonly bystander: Plugin
  /**
   * Holds that opening `path` is refused with `code` and a message that names the file and matches
   * `says`, and that the host and its plugin are as they were before.
   */
  refuses(path: string, code: PluginErrorCode, says: RegExp, options?: OpenOptions): Promise<PluginError>
  /** Holds that `action` changes nothing of the host and its plugin. */
  staysAsItIs<T>(action: () => Promise<T>): Promise<T>
}

const code = `exports.answer = () => 42\n`

export async function loneHost(shop: Workshop, options?: PlatformOptions): Promise<LoneHost> {
  const platform = shop.platform(options)
  const type = options?.types?.[0]
  const file = handMade({ manifest: { name: 'bystander', type, symbols: ['answer'] }, code })
  const path = await shop.write('bystander/bystander.plugin.cjs', file)
  // The bystander is not what a test is about: it is taken whatever the host asks of others.
  const bystander = await platform.open(path, {
    trust: { policy: 'off', directories: [shop.folder], ownerOnly: false },
  })
  const handle = platform.use('bystander')
  const events: string[] = []
  for (const event of ['opened', 'registered', 'switched', 'closed'] as const) {
    platform.events.on(event, () => events.push(event))
  }

  const state = () => ({
    plugins: [...platform.plugins],
    closed: bystander.closed,
    versions: platform.versions('bystander'),
    version: handle.version,
    answer: handle.call['answer']?.(),
    hand: platform.versions('hand'),
    events: [...events],
    global: ownProperties(globalThis),
    prototypes: [Object, Array, Function, Promise, Error].map((each) => Reflect.ownKeys(each.prototype)),
    listeners: process.eventNames().map((event) => [event, process.rawListeners(event as 'exit')]),
    environment: { ...process.env },
    directory: process.cwd(),
    exitCode: process.exitCode,
    prepareStackTrace: Error.prepareStackTrace,
    timers: process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length,
  })

  // To look at some globals loads them, and they bring others.
  state()

  const host: LoneHost = {
    platform,
    bystander,
    async staysAsItIs(action) {
      const before = state()
      const result = await action()
      assert.deepEqual(state(), before)
      return result
    },
    refuses: (path, code, says, openOptions) =>
      host.staysAsItIs(async () => {
        const error = await refusal(platform, path, openOptions)
        assert.equal(error.code, code, error.message)
        assert.equal(error.path, path)
        assert.ok(error.message.includes(path), `it does not name ${path}: ${error.message}`)
        assert.match(error.message, says)
        return error
      }),
  }
  return host
}

/** What opening `path` is refused with. */
export async function refusal(platform: Platform, path: string, options?: OpenOptions): Promise<PluginError> {
  try {
    await platform.open(path, options)
  } catch (error) {
    assert.ok(error instanceof PluginError, `not a PluginError: ${String(error)}`)
    return error
  }
  throw new assert.AssertionError({ message: `${path} was opened` })
}

function ownProperties(object: object): Map<PropertyKey, unknown> {
  return new Map(
    Reflect.ownKeys(object).map((name) => [name, Object.getOwnPropertyDescriptor(object, name)?.value]),
  )
}
