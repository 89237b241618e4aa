import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServiceSwapOptions, SwapReport } from 'micrograft'
import { miscount } from './ledger.js'
import type { LoadShape } from './load.js'
import type { MemoryReading } from './member-protocol.js'
import { Member } from './member.js'
import { reasons, failures, type Failure, type PluginFiles, type SwappedType } from './plugin-files.js'

export interface FleetOptions {
  /** For the registry; it goes with the run. */
  readonly folder: string
  readonly files: PluginFiles
  /** @default 10_000 */
  readonly makeTimeoutMs?: number | undefined
  /** Further options of the greeter's service. @default none */
  readonly greeter?: Readonly<Record<string, unknown>> | undefined
}

type Role = 'greeter' | 'caller'

/** Which process has a type swapped; both in turn where both use it. */
const rolesOf: Readonly<Record<SwappedType, readonly Role[]>> = {
  client: ['caller'],
  server: ['greeter'],
  transport: ['greeter', 'caller'],
  registry: ['greeter', 'caller'],
  selector: ['caller'],
  broker: ['greeter', 'caller'],
  store: ['greeter'],
  codec: ['greeter', 'caller'],
  auth: ['greeter'],
  middleware: ['greeter', 'caller'],
  handler: ['greeter'],
}

/** Everything that should be 0, and what shows that there was a load. */
export interface Outcome {
  readonly calls: number
  readonly keeps: number
  readonly streams: number
  readonly channels: number
  readonly published: number
  /** Calls, streams and publications that failed, or were answered wrong. */
  readonly failed: number
  /** Requests that were handled twice. */
  readonly doubled: number
  /** Requests that were answered and never handled. */
  readonly lost: number
  readonly messagesLost: number
  readonly messagesDoubled: number
  /** Requests that the handler has not counted, from version to version; only where handlers share no load. */
  readonly uncounted: number
  readonly failures: readonly string[]
}

/** A service and its caller, in processes of their own, whose parts are swapped while calls, streams and messages go on. */
export class Fleet implements AsyncDisposable {
  readonly greeter: Member
  readonly caller: Member
  readonly #files: PluginFiles
  /** How often each type was swapped. */
  readonly #swaps = new Map<SwappedType, number>()
  /** How often a swap of each type was made to fail. */
  readonly #failed = new Map<SwappedType, number>()
  #shape: LoadShape | undefined

  private constructor(greeter: Member, caller: Member, files: PluginFiles) {
    this.greeter = greeter
    this.caller = caller
    this.#files = files
  }

  static async start({
    folder,
    files,
    makeTimeoutMs = 10_000,
    greeter: options,
  }: FleetOptions): Promise<Fleet> {
    const directory = join(folder, 'nodes')
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const common = {
      directory,
      middleware: files.middleware.versions[0],
      handler: files.handler.versions[0],
      makeTimeoutMs,
    }
    const greeter = new Member({ role: 'greeter', ...common, options })
    const caller = new Member({ role: 'caller', ...common })
    const fleet = new Fleet(greeter, caller, files)
    try {
      await Promise.all([greeter.ask('start'), caller.ask('start')])
      return fleet
    } catch (error) {
      await fleet[Symbol.asyncDispose]()
      throw error
    }
  }

  async begin(shape: LoadShape): Promise<void> {
    this.#shape = shape
    await this.caller.ask('begin', shape)
  }

  async end(): Promise<void> {
    this.#shape = undefined
    await this.caller.ask('end')
  }

  /** Swaps a part to the next version, in the process whose turn it is. */
  async swap(type: SwappedType, given: ServiceSwapOptions = {}): Promise<SwapReport> {
    const { versions } = this.#files[type]
    const [member, turn] = this.#turn(type)
    this.#swaps.set(type, (this.#swaps.get(type) ?? 0) + 1)
    // The handler and the middleware begin with the first version.
    const version = versions[(turn + 1) % 2] as string
    return member.ask('swap', { type, target: version, options: { ...this.#options(type), ...given } })
  }

  /** Tries to swap a part to a version that fails, each time in another way, and expects the reason. */
  async fail(type: SwappedType): Promise<Failure> {
    const failed = this.#failed.get(type) ?? 0
    this.#failed.set(type, failed + 1)
    const failure = failures[failed % failures.length] as Failure
    const [member] = this.#turn(type)
    const target = this.#files[type].broken[failure]
    const options = this.#options(type)
    const error = await member.ask('swap', { type, target, options }).then(
      () => undefined,
      (error: Error) => error,
    )
    if (!error) throw new Error(`a ${type} that ${failure} took over`)
    if (!reasons[failure].test(error.message)) throw error
    return failure
  }

  /** Waits until calls have gone on for a while. */
  async pass(calls: number): Promise<void> {
    await this.caller.ask('pass', calls)
  }

  /** How many plugin files each process needs: those that the slots are filled from. */
  get neededFiles(): Readonly<Record<Role, number>> {
    const types = new Set<SwappedType>(['middleware', 'handler', ...this.#swaps.keys()])
    const of = (role: Role) => [...types].filter((type) => rolesOf[type].includes(role)).length
    return { greeter: of('greeter'), caller: of('caller') }
  }

  /** Reads memory while nothing is under way, then goes on. */
  async memory(): Promise<Readonly<Record<Role, MemoryReading>>> {
    const shape = this.#shape
    if (shape) await this.end()
    const [greeter, caller] = await Promise.all([this.greeter.ask('memory'), this.caller.ask('memory')])
    if (shape) await this.begin(shape)
    return { greeter, caller }
  }

  /** What came of everything so far; the load has ended. */
  async outcome(): Promise<Outcome> {
    const [{ load, total }, { handled, doubled, skipped }] = await Promise.all([
      this.caller.ask('report'),
      this.greeter.ask('report'),
    ])
    const { calls, keeps, streams, channels, published, failed } = load
    const { lost, doubled: messagesDoubled } = await this.#messages(published)
    return {
      calls,
      keeps,
      streams,
      channels,
      published: published.reduce((sum, each) => sum + each, 0),
      failed,
      doubled,
      lost: skipped,
      messagesLost: lost,
      messagesDoubled,
      uncounted: handled - (total ?? 0),
      failures: load.failures,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.greeter.kill(), this.caller.kill()])
  }

  /** Ends both processes as they should be ended. */
  async stop(): Promise<void> {
    await this.caller.stop()
    await this.greeter.stop()
  }

  #turn(type: SwappedType): readonly [Member, number] {
    const roles = rolesOf[type]
    const count = this.#swaps.get(type) ?? 0
    return [this[roles[count % roles.length] as Role], Math.floor(count / roles.length)]
  }

  #options(type: SwappedType): ServiceSwapOptions {
    return {
      watchMs: 0,
      drainMs: 20_000,
      ...(type === 'store' ? { copy: true } : {}),
    }
  }

  /** A message of a queue came to one of its subscribers, once; any other to each, once. The last are waited for. */
  async #messages(published: readonly number[]): Promise<{ lost: number; doubled: number }> {
    for (let tries = 0; ; tries++) {
      const members = await Promise.all([
        this.greeter.ask('messages', published),
        this.caller.ask('messages', published),
      ])
      let lost = 0
      let doubled = 0
      for (const [publisher, count] of published.entries()) {
        const counts = (kind: string) =>
          members.map((each) => new Uint8Array(Buffer.from(each[`${kind} ${publisher}`] ?? '', 'base64')))
        for (const group of [counts('queue'), ...counts('each').map((each) => [each])]) {
          const found = miscount(group, count)
          lost += found.lost
          doubled += found.doubled
        }
      }
      if (lost === 0 || tries === 100) return { lost, doubled }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
