import { createPlatform } from '@micrograft/plugin'
import { childInput, report } from '../child.js'
import { add, addAsync } from './adder.js'

/** What is called, or looked up, in a loop. */
export type Calling = 'direct' | 'looked up' | 'kept function' | 'through handle' | 'lookup' | 'handle lookup'

export interface CallInput {
  readonly calling: Calling
  readonly async: boolean
  /** Versions of one plugin, opened one after another, with calls between. */
  readonly files: readonly string[]
  /** Calls of one batch, and batches of which the median counts. */
  readonly count: number
  readonly batches: number
}

type Loop = (times: number) => number | Promise<number>

interface Opened {
  lookup<K extends keyof Adder>(symbol: K): Adder[K]
}

interface Adder {
  readonly add: (a: number, b: number) => number
  readonly addAsync: (a: number, b: number) => Promise<number>
}

const { calling, async: asynchronous, files, count, batches } = childInput<CallInput>()
const platform = createPlatform()
const handle = platform.use<{ [K in keyof Adder]: Adder[K] }>('adder')
const warmUp = Math.min(count, 100_000)

const [first, ...later] = files
const loop = makeLoop(await openAdder(first as string))
await checked(warmUp)
for (const file of later) {
  await openAdder(file)
  await checked(warmUp)
}
const ns: number[] = []
for (let batch = 0; batch < batches; batch++) ns.push(await checked(count))
report(ns)

function openAdder(file: string): Promise<Opened> {
  return platform.open<{ [K in keyof Adder]: Adder[K] }>(file)
}

/** Runs the loop and holds its result against the right one: a loop that the compiler left out would fail. */
async function checked(times: number): Promise<number> {
  const began = performance.now()
  const sum = await loop(times)
  const ms = performance.now() - began
  if (sum !== expected(times)) throw new Error(`${calling}: the loop gave ${sum}`)
  return (ms * 1e6) / times
}

function expected(times: number): number {
  if (calling === 'lookup' || calling === 'handle lookup') return times
  let sum = 0
  for (let i = 0; i < times; i++) sum = (sum + i) | 0
  return sum
}

function makeLoop(plugin: Opened): Loop {
  switch (calling) {
    case 'lookup':
      return (times) => counting(times, () => typeof plugin.lookup('add') === 'function')
    case 'handle lookup':
      return (times) => counting(times, () => typeof handle.lookup('add') === 'function')
    case 'through handle':
      return asynchronous
        ? async (times) => {
            let sum = 0
            for (let i = 0; i < times; i++) sum = await handle.call.addAsync(sum, i)
            return sum
          }
        : (times) => {
            let sum = 0
            for (let i = 0; i < times; i++) sum = handle.call.add(sum, i)
            return sum
          }
    default:
      return asynchronous ? awaiting(pick().addAsync) : summing(pick().add)
  }

  function pick(): Adder {
    if (calling === 'direct') return { add, addAsync }
    if (calling === 'kept function') return handle.call
    return { add: plugin.lookup('add'), addAsync: plugin.lookup('addAsync') }
  }
}

/** Each call needs the result of the one before, so none can be left out or done ahead. */
function summing(call: Adder['add']): Loop {
  return (times) => {
    let sum = 0
    for (let i = 0; i < times; i++) sum = call(sum, i)
    return sum
  }
}

function awaiting(call: Adder['addAsync']): Loop {
  return async (times) => {
    let sum = 0
    for (let i = 0; i < times; i++) sum = await call(sum, i)
    return sum
  }
}

function counting(times: number, found: () => boolean): number {
  let count = 0
  for (let i = 0; i < times; i++) if (found()) count++
  return count
}
