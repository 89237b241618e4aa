import { createPlatform } from '@micrograft/plugin'
import { childInput, report } from '../child.js'

/** The same as `fixtures/host.go` does, here. */
export interface SeedInput {
  readonly file: string
  readonly symbol: string
  readonly lookups: number
  /** How often the symbol is called as `(a, b) => number`; 0 for one that takes nothing. */
  readonly calls: number
}

export interface SeedOutput {
  readonly openMs: number
  readonly lookupNs: number
  readonly callNs: number
}

type Add = (a: number, b: number) => number

const { file, symbol, lookups, calls } = childInput<SeedInput>()
console.log('opening')
const platform = createPlatform()

let began = performance.now()
const plugin = await platform.open<Record<string, Add>>(file)
const openMs = performance.now() - began

began = performance.now()
let found = 0
for (let i = 0; i < lookups; i++) if (typeof plugin.lookup(symbol) === 'function') found++
const lookupNs = ((performance.now() - began) * 1e6) / lookups
if (found !== lookups) throw new Error('a lookup failed')

let callNs = 0
if (calls > 0) {
  const { call } = platform.use<Record<string, Add>>(plugin.manifest.name)
  const add = call[symbol] as Add
  began = performance.now()
  let sum = 0
  for (let i = 0; i < calls; i++) sum = add(sum, i)
  callNs = ((performance.now() - began) * 1e6) / calls
  let expected = 0
  for (let i = 0; i < calls; i++) expected = (expected + i) | 0
  if (sum !== expected) throw new Error(`the loop gave ${sum}`)
}
report({ openMs, lookupNs, callNs } satisfies SeedOutput)
