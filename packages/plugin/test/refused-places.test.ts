import assert from 'node:assert/strict'
import { renameSync, symlinkSync } from 'node:fs'
import { chmod, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { handMade } from './support/hand-made.js'
import { loneHost, refusal } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

const onWindows = process.platform === 'win32' && 'links need rights, and modes mean nothing, on Windows'
const outside = /lies outside the allowed directories \(.*\); put it into one of them/
const writable = /can be written to by others than its owner; take that away with chmod go-w/

test('refuses a file outside the allowed directories', async (t) => {
  const shop = await workshop(t)
  const directories = ['allowed', 'also'].map((name) => join(shop.folder, name))
  for (const directory of directories) await mkdir(directory)
  const { refuses, platform } = await loneHost(shop, { trust: { directories } })
  const file = handMade()
  for (const name of [
    'x.plugin.cjs',
    'other/x.plugin.cjs',
    'allowed-not/x.plugin.cjs',
    'allowed.plugin.cjs',
  ]) {
    await refuses(await shop.write(name, file), 'refused-path', outside)
  }
  const inside = await shop.write('also/x.plugin.cjs', file)
  const deep = await shop.write('allowed/far/down/..x.plugin.cjs', file)
  const plugin = await platform.open(inside)
  assert.equal(await platform.open(deep), plugin)
})

test(
  'refuses a link out of the allowed directories, and takes one into them',
  { skip: onWindows },
  async (t) => {
    const shop = await workshop(t)
    const directory = join(shop.folder, 'allowed')
    const file = handMade()
    const inside = await shop.write('allowed/real.plugin.cjs', file)
    const beyond = await shop.write('beyond/real.plugin.cjs', file)
    const { refuses, platform } = await loneHost(shop, { trust: { directories: [directory] } })

    const out = join(directory, 'out.plugin.cjs')
    await symlink(beyond, out)
    await refuses(out, 'refused-path', outside)
    await symlink(join(shop.folder, 'beyond'), join(directory, 'folder'))
    await refuses(join(directory, 'folder', 'real.plugin.cjs'), 'refused-path', outside)

    const into = join(shop.folder, 'into.plugin.cjs')
    await symlink(inside, into)
    await platform.open(into)
  },
)

test('follows the links of an allowed directory itself', { skip: onWindows }, async (t) => {
  const shop = await workshop(t)
  const path = await shop.write('real/x.plugin.cjs', handMade())
  const link = join(shop.folder, 'link')
  await symlink(join(shop.folder, 'real'), link)
  await shop.platform({ trust: { directories: [link] } }).open(path)
})

test('refuses an allowed directory that is not there', async (t) => {
  const shop = await workshop(t)
  const directories = [join(shop.folder, 'nowhere')]
  assert.throws(() => shop.platform({ trust: { directories } }), {
    code: 'not-found',
    message: /the allowed directory .*nowhere is not there; make it, or take it out of trust\.directories/,
  })
})

test(
  'lends no allowed place to a file from another, however a link is turned',
  { skip: onWindows },
  async (t) => {
    const shop = await workshop(t)
    const directory = join(shop.folder, 'allowed')
    const good = await shop.write('allowed/real.plugin.cjs', handMade({ code: `exports.good = true\n` }))
    const evil = await shop.write('beyond/real.plugin.cjs', handMade({ code: `exports.good = false\n` }))
    const link = join(shop.folder, 'link.plugin.cjs')
    const turn = (to: string) => {
      symlinkSync(to, `${link}.next`)
      renameSync(`${link}.next`, link)
    }
    // This thread does nothing for a moment, so that the file is open before it can ask for its place.
    const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)

    const platform = shop.platform({ trust: { directories: [directory] } })
    for (let i = 0; i < 20; i++) {
      const [from, to] = i % 2 === 0 ? [evil, good] : [good, evil]
      turn(from)
      const opening = platform.open(link)
      pause()
      turn(to)
      const [result] = await Promise.allSettled([opening])
      if (result.status === 'fulfilled') {
        assert.equal(result.value.lookup('good'), true)
        await result.value.close()
      } else {
        const { code } = result.reason as { code: string }
        assert.ok(['refused-path', 'changed-while-reading'].includes(code), code)
      }
    }
  },
)

test('refuses a file that others may write to, where only the owner may', { skip: onWindows }, async (t) => {
  const shop = await workshop(t)
  const { refuses, platform } = await loneHost(shop, { trust: { ownerOnly: true } })
  const path = await shop.write('own/hand.plugin.cjs', handMade())
  const folder = join(shop.folder, 'own')
  await chmod(folder, 0o755)
  for (const mode of [0o664, 0o646, 0o620, 0o602, 0o777]) {
    await chmod(path, mode)
    await refuses(path, 'refused-path', writable)
  }
  for (const mode of [0o644, 0o600, 0o444, 0o755]) {
    await chmod(path, mode)
    await platform.open(path)
  }
})

test(
  'refuses a file in a folder that others may write to, where only the owner may',
  { skip: onWindows },
  async (t) => {
    const shop = await workshop(t)
    const { refuses, platform } = await loneHost(shop, { trust: { ownerOnly: true } })
    const path = await shop.write('shared/hand.plugin.cjs', handMade())
    await chmod(path, 0o644)
    const folder = join(shop.folder, 'shared')
    for (const mode of [0o775, 0o757, 0o1777]) {
      await chmod(folder, mode)
      await refuses(path, 'refused-path', writable)
    }
    const link = join(shop.folder, 'link.plugin.cjs')
    await symlink(path, link)
    await refuses(link, 'refused-path', writable)
    await chmod(folder, 0o755)
    await platform.open(link)
  },
)

test('asks of each opening what its own options ask, over those of the platform', async (t) => {
  const shop = await workshop(t)
  const path = await shop.write('here/hand.plugin.cjs', handMade())
  const elsewhere = join(shop.folder, 'elsewhere')
  await mkdir(elsewhere)
  const platform = shop.platform({ trust: { directories: [elsewhere] } })
  assert.equal((await refusal(platform, path)).code, 'refused-path')
  await platform.open(path, { trust: { directories: [join(shop.folder, 'here')] } })
  assert.equal((await refusal(platform, path)).code, 'refused-path')
})
