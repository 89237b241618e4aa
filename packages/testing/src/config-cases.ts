import assert from 'node:assert/strict'
import type { Config, ConfigValue } from '@micrograft/contracts'
import type { Case } from './case.js'

type Tree = { readonly [name: string]: ConfigValue }

/** A config whose tree a test can change; disposing it disposes the config. */
export interface ConfigSubject extends AsyncDisposable {
  readonly config: Config
  /** Makes `tree` the whole of it. */
  write(tree: Tree): Promise<void>
}

/** What every config promises whose settings can change. */
export const configCases: readonly Case<ConfigSubject>[] = [
  {
    name: 'reads the tree as it is now',
    async run({ config, write }) {
      await write({ db: { host: 'a', ports: [1, 2] }, debug: true, none: null })
      assert.deepEqual(await config.read(), { db: { host: 'a', ports: [1, 2] }, debug: true, none: null })
      await write({})
      assert.deepEqual(await config.read(), {})
    },
  },
  {
    name: 'what it gives is the reader’s',
    async run({ config, write }) {
      await write({ a: { b: 1 } })
      const tree = (await config.read()) as { a: { b: number } }
      tree.a.b = 2
      assert.deepEqual(await config.read(), { a: { b: 1 } })
    },
  },
  {
    name: 'tells every change, each time',
    async run({ config, write }) {
      await write({ n: 0 })
      const changes = config.watch()
      for (let n = 1; n <= 4; n++) {
        const next = changes.next()
        await write({ n })
        assert.deepEqual((await next).value, { n })
      }
      await changes.return?.()
      assert.equal((await changes.next()).done, true)
    },
  },
  {
    name: 'tells who is slow the newest',
    async run({ config, write }) {
      await write({ n: 0 })
      const changes = config.watch()
      const first = changes.next()
      await write({ n: 1 })
      assert.deepEqual((await first).value, { n: 1 })
      await write({ n: 2 })
      await write({ n: 3 })
      let last: unknown
      while ((last as { n?: number } | undefined)?.n !== 3) last = (await changes.next()).value
      await changes.return?.()
    },
  },
  {
    name: 'an abort ends a watch with its reason, and a read too',
    async run({ config, write }) {
      await write({})
      const controller = new AbortController()
      const next = config.watch({ signal: controller.signal }).next()
      const reason = new Error('enough')
      controller.abort(reason)
      await assert.rejects(next, reason)
      await assert.rejects(config.read({ signal: controller.signal }), reason)
    },
  },
  {
    name: 'disposing ends every watch and rejects reads with closed; safe twice and at the same time',
    async run({ config, write }) {
      await write({})
      const next = config.watch().next()
      await Promise.all([config[Symbol.asyncDispose](), config[Symbol.asyncDispose]()])
      assert.equal((await next).done, true)
      await assert.rejects(config.read(), { code: 'closed' })
    },
  },
]
