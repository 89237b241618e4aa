import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { missing, unusable, usableServer, type ServerKind } from '@micrograft/test-support'

const kind: ServerKind = {
  name: 'Nowhere',
  url: 'postgres://tester:secret@127.0.0.1/base',
  program: '/nowhere/at/all',
  arguments: () => [],
}

const { REQUIRE_SERVERS } = process.env

/** Sets variables for one test. */
function setting(t: TestContext, values: Readonly<Record<string, string>>): void {
  Object.assign(process.env, values)
  t.after(() => {
    delete process.env['TEST_NOWHERE_ADDRESS']
    delete process.env['REQUIRE_SERVERS']
    if (REQUIRE_SERVERS !== undefined) process.env['REQUIRE_SERVERS'] = REQUIRE_SERVERS
  })
}

for (const [given, address] of [
  ['db:5432', 'postgres://tester:secret@db:5432/base'],
  ['me:p%40ss@db:5432', 'postgres://me:p%40ss@db:5432/base'],
  ['postgres://me@db:5432/other', 'postgres://me@db:5432/other'],
] as const) {
  test(`a server that the environment names is used: ${given}`, async (t) => {
    setting(t, { TEST_NOWHERE_ADDRESS: given, REQUIRE_SERVERS: '1' })
    assert.equal(unusable(kind), undefined)
    const server = await usableServer(kind)
    assert.deepEqual([server.address, server.host, server.port], [address, 'db', 5432])
  })
}

test('an address that is none is refused, and its variable named', (t) => {
  for (const given of ['db', 'http://', 'db:port', ':1']) {
    setting(t, { TEST_NOWHERE_ADDRESS: given })
    assert.throws(() => unusable(kind), /TEST_NOWHERE_ADDRESS is no address/)
  }
})

test('a test that needs a server of its own is skipped with the reason, or fails where servers are required', (t) => {
  setting(t, { REQUIRE_SERVERS: '' })
  assert.match(missing(kind) ?? '', /there is no Nowhere/)
  setting(t, { REQUIRE_SERVERS: '1' })
  assert.throws(() => missing(kind), /there is no Nowhere/)
  setting(t, { TEST_NOWHERE_ADDRESS: 'db:5432' })
  assert.match(missing(kind) ?? '', /not done to that of TEST_NOWHERE_ADDRESS/)
})
