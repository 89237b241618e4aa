import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeRecords, nodeRecords } from '@micrograft/plugin-kit'

const node = (id: string) => ({ id, address: '127.0.0.1:1', metadata: {} })
const record = (more: object = {}) => ({
  name: 'greeter',
  version: '1.0.0',
  metadata: {},
  endpoints: [],
  nodes: [node('a')],
  ...more,
})

test('a record becomes one for each node, frozen, and does not change with what it was made of', () => {
  const given = record({ metadata: { a: '1' }, nodes: [node('a'), node('b')] })
  const made = nodeRecords(given)
  Object.assign(given.metadata, { a: '2' })
  assert.deepEqual(
    made.map(({ nodes }) => nodes.map(({ id }) => id)),
    [['a'], ['b']],
  )
  assert.deepEqual(made[0]?.metadata, { a: '1' })
  assert.ok(
    Object.isFrozen(made[0]) && Object.isFrozen(made[0].metadata) && Object.isFrozen(made[0].nodes[0]),
  )
})

test('null stands for none, as Go writes it', () => {
  const made = nodeRecords(record({ version: null, metadata: null, endpoints: null }))
  assert.deepEqual(made, [record({ version: '' })])
  assert.deepEqual(nodeRecords(record({ nodes: null })), [])
})

test('what is no record is refused, and so is a shape that is too deep', () => {
  let values: unknown[] = []
  for (let i = 0; i < 5000; i++) values = [{ name: 'n', type: 't', values }]
  const deep = { name: 'Say.Hello', request: { name: 'r', type: 't', values }, metadata: {} }
  for (const wrong of [
    null,
    'text',
    [],
    {},
    record({ name: '' }),
    record({ name: 'x'.repeat(256) }),
    record({ name: 'a\nb' }),
    record({ version: 1 }),
    record({ metadata: { a: 1 } }),
    record({ nodes: {} }),
    record({ nodes: [{ id: 'a' }] }),
    record({ endpoints: [{ name: 1 }] }),
    record({ endpoints: [deep] }),
  ])
    assert.throws(() => nodeRecords(wrong), { code: 'bad-request' })
})

test('nodes are merged to a record for each version, whatever order they come in', () => {
  const one = nodeRecords(record({ metadata: { a: '1', b: '1' } }))
  const two = nodeRecords(record({ metadata: { a: '2' }, nodes: [node('b')] }))
  const newer = nodeRecords(record({ version: '2.0.0', nodes: [node('c')] }))
  const merged = mergeRecords([...newer, ...two, ...one])
  assert.deepEqual(merged, mergeRecords([...one, ...two, ...newer]))
  // Of what two nodes tell of one version the lesser id is believed.
  assert.deepEqual(merged, [
    record({ metadata: { a: '1', b: '1' }, nodes: [node('a'), node('b')] }),
    record({ version: '2.0.0', nodes: [node('c')] }),
  ])
})
