import { sectioned } from '../sections.js'
import type { Suite } from '../suite.js'
import { kinds, measureCalls } from './calls.js'
import { curves, measureCurve } from './curves.js'
import { measureStart } from './start.js'

export const rpcSuite: Suite = sectioned({
  name: 'rpc',
  title: 'Calls between processes',
  about: 'calls from one process to another, beside those of other frameworks',
  peers: true,
  parts: {
    small: (run) => measureCalls(run, kinds.small),
    large: (run) => measureCalls(run, kinds.large),
    protobuf: (run) => measureCalls(run, kinds.protobuf),
    'in-flight': (run) => measureCurve(run, curves['in-flight']),
    payload: (run) => measureCurve(run, curves.payload),
    start: measureStart,
  },
})
