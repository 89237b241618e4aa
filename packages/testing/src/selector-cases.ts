import assert from 'node:assert/strict'
import {
  ServiceError,
  type ErrorCode,
  type Node,
  type Selection,
  type Selector,
  type SelectOptions,
} from '@micrograft/contracts'
import type { Case } from './case.js'
import { until } from './wait.js'

/** A node that a case asks for. The selector may give it an id of its own; its address it keeps. */
export interface PlacedNode {
  readonly address: string
  readonly version?: string | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Names of endpoints. */
  readonly endpoints?: readonly string[] | undefined
}

/** What the cases of selectors are run on: a selector, and the place where it finds nodes. */
export interface SelectorSubject extends AsyncDisposable {
  readonly selector: Selector
  /** Makes these the nodes of a service, for selections that there are and those to come; an empty list takes all away. */
  place(service: string, nodes: readonly PlacedNode[]): Promise<void>
}

const [a, b, c] = ['127.0.0.1:4001', '127.0.0.2:4001', '127.0.0.3:4001']
const nodeErrors: readonly ErrorCode[] = ['unavailable', 'timeout', 'overloaded', 'protocol']
const callerErrors: readonly ErrorCode[] = [
  'bad-request',
  'unauthenticated',
  'forbidden',
  'not-found',
  'conflict',
  'too-large',
  'unsupported-content',
  'canceled',
  'internal',
  'unsupported',
]

function placed(...addresses: readonly string[]): readonly PlacedNode[] {
  return addresses.map((address) => ({ address }))
}

/** The addresses that so many calls went to, sorted; each call ends well. */
function chosen(selection: Selection, options?: SelectOptions, calls = 60): readonly string[] {
  const found = new Set<string>()
  for (let i = 0; i < calls; i++) {
    const node = selection.next(options)
    found.add(node.address)
    selection.mark(node, { durationMs: 1 })
  }
  return [...found].sort()
}

function nodeAt(selection: Selection, address: string): Node {
  const node = selection.nodes.find((each) => each.address === address)
  assert.ok(node, `there is no node at ${address}`)
  return node
}

function fail(selection: Selection, address: string, code: ErrorCode, times = 20): void {
  const outcome = { error: new ServiceError(code, 'failed'), durationMs: 1 }
  for (let i = 0; i < times; i++) selection.mark(nodeAt(selection, address), outcome)
}

/** What every selector promises. */
export const selectorCases: readonly Case<SelectorSubject>[] = [
  {
    name: 'next gives the node that there is',
    async run({ selector, place }) {
      await place('greeter', [{ address: a, metadata: { protocol: 'rpc' } }])
      await place('other', placed(b))
      const selection = await selector.select('greeter')
      assert.deepEqual(chosen(selection), [a])
      assert.deepEqual(
        selection.nodes.map(({ address }) => address),
        [a],
      )
      assert.equal(typeof selection.next().id, 'string')
    },
  },
  {
    name: 'next gives every node its share',
    async run({ selector, place }) {
      await place('greeter', placed(a, b, c))
      const selection = await selector.select('greeter')
      const counts = new Map<string, number>()
      for (let i = 0; i < 3000; i++) {
        const node = selection.next()
        counts.set(node.address, (counts.get(node.address) ?? 0) + 1)
        selection.mark(node, { durationMs: 1 })
      }
      assert.equal(counts.size, 3)
      for (const [address, count] of counts) assert.ok(count > 700, `${address} had ${count} of 3000`)
    },
  },
  {
    name: 'a service without a node is not-found',
    async run({ selector, place }) {
      await place('greeter', placed(a))
      const selection = await selector.select('nobody')
      assert.deepEqual(selection.nodes, [])
      assert.throws(() => selection.next(), { code: 'not-found' })
    },
  },
  {
    name: 'nodes that come and go are noticed',
    async run({ selector, place }) {
      const selection = await selector.select('greeter')
      await place('greeter', placed(a, b))
      await until('they have come', () => selection.nodes.length === 2)
      assert.deepEqual(chosen(selection), [a, b])
      await place('greeter', placed(b))
      await until('one has gone', () => selection.nodes.length === 1)
      assert.deepEqual(chosen(selection), [b])
      await place('greeter', [])
      await until('all have gone', () => selection.nodes.length === 0)
      assert.throws(() => selection.next(), { code: 'not-found' })
      await place('greeter', placed(c))
      await until('another has come', () => selection.nodes.length === 1)
      assert.deepEqual(chosen(selection), [c])
    },
  },
  {
    name: 'a version chooses among its nodes, and is unavailable where it has none',
    async run({ selector, place }) {
      await place('greeter', [
        { address: a, version: '1' },
        { address: b, version: '2' },
      ])
      const selection = await selector.select('greeter')
      assert.deepEqual(chosen(selection, { version: '2' }), [b])
      assert.throws(() => selection.next({ version: '3' }), { code: 'unavailable' })
      assert.deepEqual(chosen(selection), [a, b])
    },
  },
  {
    name: 'labels choose among the nodes that have all of them',
    async run({ selector, place }) {
      await place('greeter', [
        { address: a, metadata: { zone: 'x', size: 'large' } },
        { address: b, metadata: { zone: 'x' } },
        { address: c, metadata: { zone: 'y' } },
      ])
      const selection = await selector.select('greeter')
      assert.deepEqual(chosen(selection, { labels: { zone: 'x' } }), [a, b])
      assert.deepEqual(chosen(selection, { labels: { zone: 'x', size: 'large' } }), [a])
      assert.deepEqual(chosen(selection, { labels: {} }), [a, b, c])
      assert.throws(() => selection.next({ labels: { toString: 'x' } }), { code: 'unavailable' })
    },
  },
  {
    name: 'an endpoint chooses among the nodes that serve it, or do not say what they serve',
    async run({ selector, place }) {
      await place('greeter', [
        { address: a, version: '1', endpoints: ['Say.Hello'] },
        { address: b, version: '2', endpoints: ['Say.Hello', 'Say.Bye'] },
        { address: c, version: '3' },
      ])
      const selection = await selector.select('greeter')
      assert.deepEqual(chosen(selection, { endpoint: 'Say.Bye' }), [b, c])
      assert.deepEqual(chosen(selection, { endpoint: 'Say.Bye', version: '2' }), [b])
      assert.throws(() => selection.next({ endpoint: 'Say.Bye', version: '1' }), { code: 'unavailable' })
      assert.deepEqual(selection.endpoints.map(({ name }) => name).sort(), ['Say.Bye', 'Say.Hello'])
    },
  },
  {
    name: 'a filter holds for nodes that come later',
    async run({ selector, place }) {
      await place('greeter', [{ address: a, version: '1' }])
      const selection = await selector.select('greeter')
      assert.throws(() => selection.next({ version: '2' }), { code: 'unavailable' })
      await place('greeter', [
        { address: a, version: '1' },
        { address: b, version: '2' },
      ])
      await until('it has come', () => selection.nodes.length === 2)
      assert.deepEqual(chosen(selection, { version: '2' }), [b])
    },
  },
  {
    name: 'avoided nodes are not chosen while there is another',
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      const selection = await selector.select('greeter')
      const [one, other] = [nodeAt(selection, a), nodeAt(selection, b)]
      assert.deepEqual(chosen(selection, { avoid: [one] }), [b])
      assert.deepEqual(chosen(selection, { avoid: [one, other] }), [a, b])
      assert.deepEqual(chosen(selection, { avoid: [] }), [a, b])
    },
  },
  {
    name: 'a node with many errors of its own is put aside',
    async run({ selector, place }) {
      for (const code of nodeErrors) {
        const service = `with ${code}`.replace(' ', '-')
        await place(service, placed(a, b))
        const selection = await selector.select(service)
        fail(selection, a, code)
        assert.deepEqual(chosen(selection), [b], code)
        assert.equal(selection.nodes.length, 2)
      }
    },
  },
  {
    name: "a caller's errors never put a node aside",
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      for (const code of callerErrors) {
        const selection = await selector.select('greeter')
        fail(selection, a, code)
        assert.deepEqual(chosen(selection), [a, b], code)
      }
      const selection = await selector.select('greeter')
      for (let i = 0; i < 20; i++)
        selection.mark(nodeAt(selection, a), { error: new Error('broken'), durationMs: 1 })
      assert.deepEqual(chosen(selection), [a, b])
    },
  },
  {
    name: 'where all nodes are put aside, all are used',
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      const selection = await selector.select('greeter')
      fail(selection, a, 'unavailable')
      fail(selection, b, 'unavailable')
      const found = new Set(Array.from({ length: 60 }, () => selection.next().address))
      assert.deepEqual([...found].sort(), [a, b])
    },
  },
  {
    name: 'a node that is put aside is chosen where all others are avoided',
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      const selection = await selector.select('greeter')
      fail(selection, a, 'unavailable')
      assert.equal(selection.next({ avoid: [nodeAt(selection, b)] }).address, a)
    },
  },
  {
    name: 'marking a node that is not there any more changes nothing',
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      const selection = await selector.select('greeter')
      const gone = nodeAt(selection, a)
      await place('greeter', placed(b))
      await until('it has gone', () => selection.nodes.length === 1)
      for (let i = 0; i < 20; i++)
        selection.mark(gone, { error: new ServiceError('unavailable', 'x'), durationMs: 1 })
      assert.deepEqual(chosen(selection), [b])
    },
  },
  {
    name: 'selections of one service do not disturb each other',
    async run({ selector, place }) {
      await place('greeter', placed(a, b))
      const [first, second] = [await selector.select('greeter'), await selector.select('greeter')]
      fail(first, a, 'unavailable')
      assert.deepEqual(chosen(second), [a, b])
      await first[Symbol.asyncDispose]()
      assert.deepEqual(chosen(second), [a, b])
    },
  },
  {
    name: "the caller's options stay as they were",
    async run({ selector, place }) {
      await place('greeter', [{ address: a, version: '1', metadata: { zone: 'x' } }])
      const selection = await selector.select('greeter')
      const avoid = Object.freeze([nodeAt(selection, a)])
      const options = Object.freeze({ version: '1', labels: Object.freeze({ zone: 'x' }), avoid })
      assert.equal(selection.next(options).address, a)
    },
  },
  {
    name: 'an abort before select rejects with its reason',
    async run({ selector, place }) {
      await place('greeter', placed(a))
      const reason = new Error('given up')
      await assert.rejects(selector.select('greeter', { signal: AbortSignal.abort(reason) }), reason)
    },
  },
  {
    name: 'an abort during select rejects with its reason, unless select was faster; after it, it changes nothing',
    async run({ selector, place }) {
      await place('greeter', placed(a))
      const controller = new AbortController()
      const reason = new Error('given up')
      const selecting = selector.select('greeter', controller)
      controller.abort(reason)
      await selecting.catch((error: unknown) => assert.equal(error, reason))
      const later = new AbortController()
      const selection = await selector.select('greeter', later)
      later.abort(reason)
      await place('greeter', placed(a, b))
      await until('it goes on', () => selection.nodes.length === 2)
    },
  },
  {
    name: 'a disposed selection is closed, and so is every selection of a disposed selector',
    async run({ selector, place }) {
      await place('greeter', placed(a))
      const [first, second] = [await selector.select('greeter'), await selector.select('greeter')]
      await first[Symbol.asyncDispose]()
      assert.throws(() => first.next(), { code: 'closed' })
      assert.equal(second.next().address, a)
      await selector[Symbol.asyncDispose]()
      assert.throws(() => second.next(), { code: 'closed' })
      await assert.rejects(selector.select('greeter'), { code: 'closed' })
    },
  },
  {
    name: 'dispose is safe twice, at once, and without use',
    async run({ selector, place }) {
      await place('greeter', placed(a))
      const selection = await selector.select('greeter')
      await Promise.all([selection[Symbol.asyncDispose](), selection[Symbol.asyncDispose]()])
      await Promise.all([selector[Symbol.asyncDispose](), selector[Symbol.asyncDispose]()])
      await selector[Symbol.asyncDispose]()
      await selection[Symbol.asyncDispose]()
    },
  },
]
