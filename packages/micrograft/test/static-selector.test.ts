import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Selector } from '@micrograft/contracts'
import { componentContext, selectorCases, type SelectorSubject } from '@micrograft/testing'
import { staticSelector, type StaticSelectorOptions } from '../dist/selector/static-selector.js'
import { complyEveryWay } from './support/comply-every-way.js'

const two = ['127.0.0.1:4001', '127.0.0.2:4001']
const unknown = 'addresses are given, and neither versions, labels nor endpoints'
const fixed = 'nodes are those of the options, which neither come nor go'

complyEveryWay('static selector', selectorCases, {
  type: 'selector',
  name: 'static',
  file: 'selector/static-selector',
  factory: 'staticSelector',
  options: () => {
    const failing = ['unavailable', 'timeout', 'overloaded', 'protocol'].map(
      (code) => [`with-${code}`, two] as const,
    )
    return { addresses: { greeter: two, nobody: [], ...Object.fromEntries(failing) } }
  },
  subject: (selector): SelectorSubject => ({
    selector,
    place: async () => undefined,
    [Symbol.asyncDispose]: () => selector[Symbol.asyncDispose](),
  }),
  skip: {
    'next gives the node that there is': fixed,
    'next gives every node its share': fixed,
    'nodes that come and go are noticed': fixed,
    'marking a node that is not there any more changes nothing': fixed,
    'a disposed selection is closed, and so is every selection of a disposed selector': fixed,
    'a version chooses among its nodes, and is unavailable where it has none': unknown,
    'labels choose among the nodes that have all of them': unknown,
    'an endpoint chooses among the nodes that serve it, or do not say what they serve': unknown,
    'a filter holds for nodes that come later': unknown,
    "the caller's options stay as they were": unknown,
  },
})

function open(t: TestContext, options?: StaticSelectorOptions): Selector {
  const selector = staticSelector(options, componentContext())
  t.after(() => selector[Symbol.asyncDispose]())
  return selector
}

test("a service's name is its address", async (t) => {
  const selection = await open(t).select('127.0.0.1:8080')
  assert.deepEqual(selection.next(), { id: '127.0.0.1:8080', address: '127.0.0.1:8080', metadata: {} })
  assert.equal((await open(t, { addresses: { other: 'x:1' } }).select('toString')).next().address, 'toString')
})

test('addresses are by service, or one list for all; nodes have the metadata that is given', async (t) => {
  const mapped = open(t, { addresses: { one: 'x:1', two: ['x:2', 'x:3'] }, metadata: { protocol: 'rpc' } })
  assert.deepEqual((await mapped.select('one')).next(), {
    id: 'x:1',
    address: 'x:1',
    metadata: { protocol: 'rpc' },
  })
  assert.deepEqual(
    (await mapped.select('two')).nodes.map(({ address }) => address),
    ['x:2', 'x:3'],
  )
  const listed = open(t, { addresses: ['x:4', 'x:5'], strategy: 'round-robin', random: () => 0 })
  const selection = await listed.select('anything')
  assert.deepEqual(
    [selection.next(), selection.next(), selection.next()].map(({ address }) => address),
    ['x:4', 'x:5', 'x:4'],
  )
})

test('a label that the metadata has fits, and a version never does', async (t) => {
  const selection = await open(t, { metadata: { zone: 'x' } }).select('a:1')
  assert.equal(selection.next({ labels: { zone: 'x' }, endpoint: 'Say.Hello' }).address, 'a:1')
  assert.throws(() => selection.next({ labels: { zone: 'y' } }), { code: 'unavailable' })
  assert.throws(() => selection.next({ version: '1' }), { code: 'unavailable' })
})

test('a disposed static selector closes its selections', async (t) => {
  const selector = open(t)
  const [first, second] = [await selector.select('a:1'), await selector.select('a:1')]
  await first[Symbol.asyncDispose]()
  assert.throws(() => first.next(), { code: 'closed' })
  assert.equal(second.next().address, 'a:1')
  await selector[Symbol.asyncDispose]()
  assert.throws(() => second.next(), { code: 'closed' })
  await assert.rejects(selector.select('a:1'), { code: 'closed' })
})

test('changing the options later changes nothing', async (t) => {
  const addresses = { one: ['x:1'] }
  const selector = open(t, { addresses })
  addresses.one.push('x:2')
  assert.equal((await selector.select('one')).nodes.length, 1)
})
