import assert from 'node:assert/strict'
import type { Account, Auth, Rule } from '@micrograft/contracts'
import type { Case } from './case.js'
import { until } from './wait.js'

const ann: Account = {
  id: 'ann',
  type: 'user',
  issuer: 'test',
  scopes: ['read', 'write'],
  metadata: { team: 'red' },
}
const resource = { type: 'service', name: 'greeter', endpoint: 'Say.Hello' }
const rule = (id: string, more: Partial<Rule> = {}): Rule => ({
  id,
  scope: '*',
  resource: { type: '*', name: '*', endpoint: '*' },
  access: 'granted',
  priority: 0,
  ...more,
})

/** What every auth promises that makes tokens and holds rules. */
export const authCases: readonly Case<Auth>[] = [
  {
    name: 'a token gives back the account that it was issued for',
    async run(auth) {
      const before = Date.now()
      const { accessToken, createdAt, expiresAt } = await auth.issue(ann, { ttlMs: 30_000 })
      assert.ok(createdAt >= before && expiresAt === createdAt + 30_000)
      const { issuer: _, ...account } = await auth.inspect(accessToken)
      const { issuer: __, ...expected } = ann
      assert.deepEqual(account, expected)
    },
  },
  {
    name: 'refuses a token that is expired, changed, of another, or none, with unauthenticated',
    async run(auth) {
      const { accessToken } = await auth.issue(ann)
      const changed = accessToken.slice(0, -8) + (accessToken.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA')
      for (const token of [changed, '', 'x', 'a.b.c', accessToken.split('.').slice(0, 2).join('.')]) {
        await assert.rejects(auth.inspect(token), { code: 'unauthenticated' }, token)
      }
      const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${accessToken.split('.')[1]}.`
      await assert.rejects(auth.inspect(unsigned), { code: 'unauthenticated' })
      const short = await auth.issue(ann, { ttlMs: 1 })
      await until('the token expires', async () =>
        auth.inspect(short.accessToken).then(
          () => false,
          (error: { code: string }) => error.code === 'unauthenticated',
        ),
      )
    },
  },
  {
    name: 'allows nothing without a rule, and what a rule grants to who has its scope',
    async run(auth) {
      await assert.rejects(auth.verify(ann, resource), { code: 'forbidden' })
      await assert.rejects(auth.verify(undefined, resource), { code: 'unauthenticated' })
      await auth.grant(rule('writers', { scope: 'write', resource: { ...resource, endpoint: 'Say.*' } }))
      await auth.verify(ann, resource)
      await assert.rejects(auth.verify({ ...ann, scopes: ['read'] }, resource), { code: 'forbidden' })
      await assert.rejects(auth.verify(ann, { ...resource, endpoint: 'Other.Hello' }), { code: 'forbidden' })
      await auth.grant(rule('all', { scope: '' }))
      await auth.verify(undefined, resource)
      await auth.revoke('all')
      await auth.revoke('none')
      await assert.rejects(auth.verify(undefined, resource), { code: 'unauthenticated' })
    },
  },
  {
    name: 'the rule of the highest priority counts, and among equals the one that denies',
    async run(auth) {
      await auth.grant(rule('low', { access: 'granted', priority: 1 }))
      await auth.grant(rule('high', { access: 'denied', priority: 2 }))
      await assert.rejects(auth.verify(ann, resource), { code: 'forbidden' })
      await auth.grant(rule('high', { access: 'granted', priority: 2 }))
      await auth.verify(ann, resource)
      await auth.grant(rule('same', { access: 'denied', priority: 2 }))
      await assert.rejects(auth.verify(ann, resource), { code: 'forbidden' })
      assert.deepEqual((await auth.rules()).map(({ id }) => id).sort(), ['high', 'low', 'same'])
    },
  },
  {
    name: 'rejects with the reason of an aborted signal, and with closed after it was disposed',
    async run(auth) {
      const reason = new Error('enough')
      const signal = AbortSignal.abort(reason)
      await assert.rejects(auth.issue(ann, { signal }), reason)
      await assert.rejects(auth.inspect('x', { signal }), reason)
      await assert.rejects(auth.verify(ann, resource, { signal }), reason)
      await Promise.all([auth[Symbol.asyncDispose](), auth[Symbol.asyncDispose]()])
      await assert.rejects(auth.issue(ann), { code: 'closed' })
      await assert.rejects(auth.verify(ann, resource), { code: 'closed' })
    },
  },
]
