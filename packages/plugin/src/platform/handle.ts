import { PluginError } from '../errors.js'
import { unknownSymbol } from './unknown-symbol.js'
import type { NameEntry } from './registry.js'

type Functions<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K]
}

/** A name that stays while the versions behind it change. */
export interface Handle<T extends object = Record<string, (...args: unknown[]) => unknown>> {
  readonly name: string
  /** The version that calls go to now, or `undefined` while nothing is registered under the name. */
  readonly version: string | undefined
  /**
   * The functions among the symbols. Each is stable, may be kept or destructured, and goes to the
   * version that is preferred at the moment of the call; a call that has begun ends where it began.
   * A call throws `no-such-plugin`, `unknown-symbol` or `not-callable` where it leads nowhere.
   */
  readonly call: Functions<T>
  /**
   * A symbol of the version that is preferred now. It does not follow later changes, and keeps its
   * plugin in memory: do not hold on to it.
   * @throws `no-such-plugin`, `unknown-symbol`
   */
  lookup<K extends keyof T & string>(symbol: K): T[K]
}

type AnyFunction = (...args: unknown[]) => unknown

export function createHandle<T extends object>(entry: NameEntry): Handle<T> {
  return new EntryHandle<T>(entry)
}

/**
 * A class: in an object literal that has a getter V8 looks every property up in a table, which costs
 * several times what a call does.
 */
class EntryHandle<T extends object> implements Handle<T> {
  readonly name: string
  readonly call: Functions<T>
  readonly lookup: Handle<T>['lookup']
  readonly #entry: NameEntry

  constructor(entry: NameEntry) {
    entry.handled = true
    this.#entry = entry
    this.name = entry.name
    this.call = callTable(entry) as Functions<T>
    this.lookup = (symbol) => find(entry, symbol) as never
  }

  get version(): string | undefined {
    return this.#entry.current?.version
  }
}

/**
 * An object that gets a function the first time that it is asked for one: own properties cost what
 * a property costs, and the proxy behind them is reached only by names that are new.
 */
function callTable(entry: NameEntry): object {
  const table: object = Object.create(
    new Proxy(Object.create(null) as object, {
      get(_, symbol) {
        // Names that the language itself asks for, of a promise and in JSON.
        if (typeof symbol !== 'string' || symbol === 'then' || symbol === 'toJSON') return undefined
        const value = delegate(entry, symbol)
        Object.defineProperty(table, symbol, { value, enumerable: true })
        return value
      },
    }),
  ) as object
  return table
}

/** A function that goes wherever `entry` points, which costs one variable more than a direct call. */
function delegate(entry: NameEntry, symbol: string): AnyFunction {
  let target: AnyFunction
  const follow = () => {
    const value =
      entry.current && Object.hasOwn(entry.current.symbols, symbol)
        ? entry.current.symbols[symbol]
        : undefined
    target = typeof value === 'function' ? (value as AnyFunction) : () => refuse(entry, symbol)
  }
  entry.followers.add(follow)
  follow()
  return (...args) => target(...args)
}

function refuse(entry: NameEntry, symbol: string): never {
  const value = find(entry, symbol)
  throw new PluginError(
    'not-callable',
    `${symbol} of ${entry.name} ${entry.current?.version} is ${typeof value}, not a function; read it with lookup`,
  )
}

function find(entry: NameEntry, symbol: string): unknown {
  const { current } = entry
  if (!current) {
    throw new PluginError(
      'no-such-plugin',
      `no version of ${entry.name} is registered; open one before calling it`,
    )
  }
  if (!Object.hasOwn(current.symbols, symbol)) {
    const what = `${current.name} ${current.version}`
    // A plugin may register under other names than its own.
    const where = current.label.startsWith(`${what} `) ? current.label : `${what} of ${current.label}`
    throw unknownSymbol(symbol, where, Object.keys(current.symbols))
  }
  return current.symbols[symbol]
}
