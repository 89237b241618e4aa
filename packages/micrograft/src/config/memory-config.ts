import {
  resolveOptions,
  ServiceError,
  type CallOptions,
  type Config,
  type ConfigValue,
} from '@micrograft/contracts'
import { ConfigChanges, type ConfigTree } from './config-changes.js'

export interface MemoryConfigOptions {
  /** What it begins with. @default nothing */
  readonly values?: ConfigTree | undefined
  /** Not used: here so that every config takes the flag's options. */
  readonly addresses?: readonly string[] | undefined
}

export interface MemoryConfig extends Config {
  /** Takes the place of the whole tree. */
  write(values: ConfigTree): void
}

/** Settings that the program itself holds. */
export function memoryConfig(options?: MemoryConfigOptions): MemoryConfig {
  const { values } = resolveOptions(
    'the options of the memory config',
    { values: {}, addresses: undefined },
    options,
  )
  return new ValuesConfig('memory', values)
}

/** A config whose tree somebody else sets. */
export class ValuesConfig implements MemoryConfig {
  readonly name: string
  readonly #changes = new ConfigChanges()
  #values: ConfigTree
  #closed = false

  constructor(name: string, values: ConfigTree) {
    this.name = name
    this.#values = structuredClone(values) as ConfigTree
  }

  write(values: ConfigTree): void {
    if (this.#closed) throw new ServiceError('closed', `the ${this.name} config was closed`)
    this.#values = structuredClone(values) as ConfigTree
    this.#changes.tell(this.#values)
  }

  async read({ signal }: CallOptions = {}): Promise<ConfigTree> {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', `the ${this.name} config was closed`)
    return structuredClone(this.#values) as ConfigTree
  }

  watch({ signal }: CallOptions = {}): AsyncIterableIterator<{ readonly [name: string]: ConfigValue }> {
    return this.#changes.follow(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#changes.end()
  }
}
