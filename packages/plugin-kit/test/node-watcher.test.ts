import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryEvent } from '@micrograft/contracts'
import { NodeWatcher } from '@micrograft/plugin-kit'

function event(type: RegistryEvent['type'], id: string, name = 'greeter'): RegistryEvent {
  const nodes = [{ id, address: '127.0.0.1:1', metadata: {} }]
  return { type, service: { name, version: '1.0.0', metadata: {}, endpoints: [], nodes } }
}

const open = (service?: string, signal?: AbortSignal) => new NodeWatcher(service, signal, () => undefined)

async function told(watcher: NodeWatcher): Promise<readonly string[]> {
  const all: string[] = []
  watcher.tell(event('create', 'last'))
  for await (const { type, service } of watcher) {
    const { id } = service.nodes[0] as { id: string }
    if (id === 'last') break
    all.push(`${type} ${id}`)
  }
  return all
}

test('what nobody has read yet of one node is joined to what it is to somebody who saw nothing of it', async () => {
  const joined: [RegistryEvent['type'][], string[]][] = [
    [['create', 'update'], ['create a']],
    [['create', 'delete'], []],
    [['delete', 'create'], ['update a']],
    [['update', 'delete'], ['delete a']],
    [['update', 'update'], ['update a']],
    [['create', 'delete', 'create'], ['create a']],
  ]
  for (const [types, expected] of joined) {
    const watcher = open()
    for (const type of types) watcher.tell(event(type, 'a'))
    assert.deepEqual(await told(watcher), expected, types.join())
  }
})

test('nodes are told in the order of their last events, and of other services not at all', async () => {
  const watcher = open('greeter')
  watcher.tell(event('create', 'a'))
  watcher.tell(event('create', 'b'))
  watcher.tell(event('create', 'c', 'other'))
  watcher.tell(event('update', 'a'))
  assert.deepEqual(await told(watcher), ['create b', 'create a'])
})

test('who waits gets the next event, and each just one', async () => {
  const watcher = open()
  const waiting = [watcher.next(), watcher.next()]
  watcher.tell(event('create', 'a'))
  watcher.tell(event('update', 'a'))
  const results = await Promise.all(waiting)
  assert.deepEqual(
    results.map(({ value }) => (value as RegistryEvent).type),
    ['create', 'update'],
  )
})

test('an end with an error is told once, to who waits or to who asks next', async () => {
  const reason = new Error('lost')
  const waited = open()
  const [first, second] = [waited.next(), waited.next()]
  waited.end(reason)
  await assert.rejects(first, reason)
  assert.equal((await second).done, true)
  const asked = open()
  asked.tell(event('create', 'a'))
  asked.end(reason)
  await assert.rejects(asked.next(), reason)
  assert.equal((await asked.next()).done, true)
})

test('ends once, by a signal, by return or by being disposed, and takes no more events', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  let ends = 0
  const watcher = new NodeWatcher(undefined, controller.signal, () => ends++)
  controller.abort(reason)
  await watcher[Symbol.asyncDispose]()
  watcher.tell(event('create', 'a'))
  await assert.rejects(watcher.next(), reason)
  assert.equal((await watcher.return()).done, true)
  assert.equal((await watcher.next()).done, true)
  assert.equal(ends, 1)
})
