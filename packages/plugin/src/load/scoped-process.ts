import { PluginError } from '../errors.js'
import { calling, type Leftover } from './leftover.js'

type Listener = (...args: unknown[]) => void
type Add = 'on' | 'addListener' | 'once' | 'prependListener' | 'prependOnceListener'

interface Registered {
  readonly event: string | symbol
  readonly listener: Listener
}

/** What would end or change the host for everybody in it. */
const forbidden = [
  'exit',
  'reallyExit',
  'abort',
  'chdir',
  'dlopen',
  'setUncaughtExceptionCaptureCallback',
] as const

/** `process` as a plugin sees it: the host's, but listeners are remembered and what ends the host is refused. */
export class ScopedProcess {
  readonly object: NodeJS.Process
  #registered: Registered[] = []
  #sweepAt = 64

  constructor(label: string) {
    const object = Object.create(process) as NodeJS.Process & Record<string, unknown>
    for (const name of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'] as const) {
      override(object, name, (event: string, listener: Listener) => {
        this.#add(name, event, listener)
        return object
      })
    }
    for (const name of ['off', 'removeListener'] as const) {
      override(object, name, (event: string, listener: Listener) => {
        const last = this.#registered.findLast((each) => each.event === event && each.listener === listener)
        this.#remove((each) => each === last)
        return object
      })
    }
    override(object, 'removeAllListeners', (event?: string) => {
      this.#remove((each) => event === undefined || each.event === event)
      return object
    })
    for (const name of forbidden) override(object, name, () => refuse(label, `process.${name}()`))
    override(object, 'kill', (pid: number, signal?: string | number) => {
      const target = Number(pid)
      if (signal !== 0 && (target === process.pid || target <= 0))
        refuse(label, `process.kill() on its own host`)
      return process.kill(pid, signal)
    })
    this.object = object
  }

  end(): readonly Leftover[] {
    this.#sweep()
    const left = this.#registered.map(({ event, listener }) => ({
      kind: 'process listener' as const,
      what: String(event) + calling(listener),
    }))
    this.#remove(() => true)
    return left
  }

  #add(how: Add, event: string, listener: Listener): void {
    process[how](event as 'exit', listener)
    this.#registered.push({ event, listener })
    // Listeners that were called once are gone from the process and would pile up here.
    if (this.#registered.length > this.#sweepAt) {
      this.#sweep()
      this.#sweepAt = Math.max(64, this.#registered.length * 2)
    }
  }

  #sweep(): void {
    this.#registered = this.#registered.filter(({ event, listener }) =>
      process.listeners(event as 'exit').includes(listener),
    )
  }

  #remove(which: (each: Registered) => boolean): void {
    const gone = this.#registered.filter(which)
    this.#registered = this.#registered.filter((each) => !gone.includes(each))
    for (const { event, listener } of gone) process.off(event, listener)
  }
}

function override(object: object, name: string, value: (...args: never[]) => unknown): void {
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: true })
}

function refuse(label: string, what: string): never {
  throw new PluginError(
    'forbidden',
    `${label} called ${what}: a plugin cannot end or change its host; throw an error, or ask the host to`,
  )
}
