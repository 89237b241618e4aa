import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentContext, selectorCases, type SelectorSubject } from '@micrograft/testing'
import { staticSelector } from '../dist/selector/static-selector.js'
import { complyEveryWay } from './support/comply-every-way.js'

const [unknown, fixed] = ['addresses are given, and neither versions, labels nor endpoints', 'nodes neither come nor go']

let addresses: Record<string, readonly string[]> = {}
complyEveryWay('static selector', selectorCases, {
  type: 'selector',
  name: 'static',
  file: 'selector/static-selector',
  factory: 'staticSelector',
  options: () => ({ addresses: (addresses = { greeter: two, other: [two[1] ?? ''], nobody: [] }) }),
  subject: (selector): SelectorSubject => ({
    selector,
    async place(service, placed) {
      addresses[service] = placed.map(({ address }) => address)
    },
    [Symbol.asyncDispose]: () => selector[Symbol.asyncDispose](),
  }),
  skip: {
    'next gives the node that there is': 'one list is fixed for all cases here; tested below',
    'next gives every node its share': 'one list is fixed for all cases here; tested below',
    'nodes that come and go are noticed': fixed,
    'a node with many errors of its own is put aside': 'one list is fixed for all cases here; tested below',
    'marking a node that is not there any more changes nothing': fixed,
    'a version chooses among its nodes, and is unavailable where it has none': unknown,
    'labels choose among the nodes that have all of them': unknown,
    'an endpoint chooses among the nodes that serve it, or do not say what they serve': unknown,
    'a filter holds for nodes that come later': unknown,
    "the caller's options stay as they were": unknown,
    'an abort during select rejects with its reason, unless select was faster; after it, it changes nothing': fixed,
    'a disposed selection is closed, and so is every selection of a disposed selector': 'tested below',
  },
})
