import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handMade } from './support/hand-made.js'
import { loneHost } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

/** Is never run: all of these are refused before. */
const code = `throw new Error('it ran')\n`
const sdk = { version: '1.4.1', modules: { '@acme/sdk': { answer: 42 } } }

test('refuses a plugin that needs a host package in another version', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop, { host: { '@acme/sdk': sdk } })
  const manifest = { name: 'xrpc', version: '1.2.0', host: { '@acme/sdk': '^2' }, imports: ['@acme/sdk'] }
  const path = await shop.write('xrpc.plugin.cjs', handMade({ manifest, code }))
  await refuses(
    path,
    'incompatible',
    /^xrpc 1\.2\.0 .* it needs @acme\/sdk \^2, this host has 1\.4\.1: rebuild it, or update the host$/,
  )
})

test('refuses a plugin that needs a host package that the host lacks', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const manifest = { host: { '@acme/sdk': '^2' } }
  const path = await shop.write('hand.plugin.cjs', handMade({ manifest, code }))
  await refuses(
    path,
    'incompatible',
    /this host has no @acme\/sdk: give it to the platform as a host package/,
  )
})

test('refuses a plugin that needs another version of this package', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const manifest = { host: { '@micrograft/plugin': '>=9' }, imports: ['@micrograft/plugin'] }
  const path = await shop.write('hand.plugin.cjs', handMade({ manifest, code }))
  await refuses(
    path,
    'incompatible',
    /needs @micrograft\/plugin >=9, this host has .*: rebuild it, or update/,
  )
})

test('refuses a plugin that needs another version of Node', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = await shop.write('hand.plugin.cjs', handMade({ manifest: { node: '>=99' }, code }))
  await refuses(
    path,
    'incompatible',
    /needs Node >=99, this is Node \d+\..*: build it for an older target, or/,
  )
})

test('tells everything that does not fit at once', async (t) => {
  const shop = await workshop(t)
  const options = { types: ['client'], builtins: ['path'], host: { '@acme/sdk': sdk } }
  const { refuses } = await loneHost(shop, options)
  const manifest = {
    type: 'broker',
    host: { '@acme/missing': '^1', '@acme/sdk': '^2' },
    node: '>=99',
    imports: ['@acme/other', '@acme/sdk', 'node:fs', 'node:path'],
  }
  const path = await shop.write('hand.plugin.cjs', handMade({ manifest, code }))
  const error = await refuses(path, 'unknown-type', /does not fit this host: .*;.*;.*;.*;.*/)
  assert.deepEqual(
    error.problems.map((each) => each.code),
    ['unknown-type', 'incompatible', 'incompatible', 'incompatible', 'import-refused', 'import-refused'],
  )
  for (const { message } of error.problems) assert.ok(error.message.includes(message))
})

test('refuses a type that the host does not know', async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop, { types: ['client', 'server'] })
  const broker = await shop.write('a.plugin.cjs', handMade({ manifest: { type: 'broker' }, code }))
  await refuses(broker, 'unknown-type', /its type is broker and this host knows the types client, server/)
  const client = handMade({ manifest: { name: 'known', type: 'client' } })
  await platform.open(await shop.write('b.plugin.cjs', client))
  await platform.open(await shop.write('c.plugin.cjs', handMade()))
})

test('refuses an import of a module of Node that the host does not allow', async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop, { builtins: ['path', 'node:fs/promises'] })
  for (const specifier of ['node:fs', 'fs', 'node:child_process', 'node:path/posix']) {
    const made = handMade({ manifest: { imports: [specifier] }, code })
    const path = await shop.write('hand.plugin.cjs', made)
    await refuses(path, 'import-refused', new RegExp(`imports ${specifier}, which this host does not allow`))
  }
  const imports = ['node:fs/promises', 'node:path']
  await platform.open(await shop.write('fits.plugin.cjs', handMade({ manifest: { imports } })))
})

test('refuses an import of what the host does not bring', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop, { host: { '@acme/sdk': sdk } })
  for (const specifier of ['@acme/other', '@acme/sdk/errors', 'semver', './x', '/etc/x', '__proto__']) {
    const made = handMade({ manifest: { imports: [specifier] }, code })
    const path = await shop.write('hand.plugin.cjs', made)
    await refuses(path, 'import-refused', new RegExp(`imports ${specifier}, which this host does not bring`))
  }
})

test('gives a plugin nothing that its manifest does not declare', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop, { host: { '@acme/sdk': sdk } })
  for (const specifier of ['node:fs', 'fs', '@acme/sdk', 'semver', './x.js']) {
    const made = handMade({ code: `require(${JSON.stringify(specifier)})\n` })
    const path = await shop.write('hand.plugin.cjs', made)
    const { cause } = await refuses(
      path,
      'module-threw',
      /Cannot find module .* was built without it; import/,
    )
    assert.equal((cause as { code?: unknown }).code, 'MODULE_NOT_FOUND')
  }
})

test('refuses the name and version of an open plugin with other content', async (t) => {
  const shop = await workshop(t)
  const { refuses, bystander, platform } = await loneHost(shop)
  const made = handMade({ manifest: { name: 'bystander' }, code })
  const path = await shop.write('other.plugin.cjs', made)
  const { message } = await refuses(
    path,
    'version-taken',
    /is not the bystander 1\.0\.0 that is open from .*: give the new content another version, or close/,
  )
  assert.ok(message.includes(bystander.path))
  const same = await shop.write('same.plugin.cjs', handMade({ manifest: { name: 'twin' } }))
  const twin = await platform.open(same)
  await twin.close()
  const other = handMade({ manifest: { name: 'twin' }, code: `exports.other = true\n` })
  assert.equal((await platform.open(await shop.write('same.plugin.cjs', other))).lookup('other'), true)
})

test('of many plugins of one name and version, opened at once, takes one and never runs the others', async (t) => {
  const shop = await workshop(t)
  const { platform } = await loneHost(shop)
  t.after(() => delete process.env['RAN'])
  const paths = await Promise.all(
    Array.from({ length: 24 }, (_, i) => {
      const code = `process.env.RAN = (process.env.RAN ?? '') + ' ${i}'\nexports.which = ' ${i}'\n`
      return shop.write(`${i}.plugin.cjs`, handMade({ code }))
    }),
  )
  const results = await Promise.allSettled(paths.map((path) => platform.open(path)))
  const opened = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const codes = results.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []))
  assert.deepEqual(
    codes,
    Array.from({ length: 23 }, () => 'version-taken'),
  )
  assert.deepEqual([opened[0]?.lookup('which'), opened.length], [process.env['RAN'], 1])
})

/** Registers `answer` as the bystander's own, under its name and version. */
const usurper = `require('@micrograft/plugin').register({
  name: 'bystander', version: '1.0.0', symbols: { answer: () => 'usurped' },
})\n`
const importing = { host: { '@micrograft/plugin': '>=0' }, imports: ['@micrograft/plugin'] }

test('refuses module code that registers the name and version of another plugin', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = await shop.write('usurper.plugin.cjs', handMade({ manifest: importing, code: usurper }))
  const says =
    /registers bystander 1\.0\.0, which bystander 1\.0\.0 .* has registered; give it another version/
  const { cause } = await refuses(path, 'module-threw', says)
  assert.equal((cause as { code?: unknown }).code, 'version-taken')
})

test('refuses a plugin whose own name and version another plugin has registered', async (t) => {
  const shop = await workshop(t)
  const { platform, refuses } = await loneHost(shop)
  const code = `require('@micrograft/plugin').register({ name: 'hand', symbols: { mine: true } })\n`
  const manifest = { ...importing, name: 'squatter' }
  await platform.open(await shop.write('squatter.plugin.cjs', handMade({ manifest, code })))
  const path = await shop.write('hand.plugin.cjs', handMade())
  await refuses(path, 'version-taken', /registers hand 1\.0\.0, which squatter 1\.0\.0 .* has registered/)
})
