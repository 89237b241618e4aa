import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { chmod, mkdir, open, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKeys, inspect } from '@micrograft/plugin'
import { handMade, lineEnds } from './support/hand-made.js'
import { loneHost, refusal } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

const onWindows = process.platform === 'win32' && 'Windows has none in a folder'

test('refuses a path at which there is no file', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  await refuses(join(shop.folder, 'nowhere.plugin.cjs'), 'not-found', /build it, or correct the path/)
  await refuses(join(shop.folder, 'package.json', 'x.plugin.cjs'), 'not-found', /correct the path/)
})

test('refuses a directory', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = join(shop.folder, 'folder.plugin.cjs')
  await mkdir(path)
  await refuses(path, 'not-a-file', /is a directory.*name the plugin file itself/)
})

test('refuses a named pipe without waiting for somebody to write to it', { skip: onWindows }, async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = join(shop.folder, 'pipe.plugin.cjs')
  execFileSync('mkfifo', [path])
  let waited = false
  // Whoever waits all the same is let go, for it would wait for ever.
  const release = setTimeout(() => {
    waited = true
    closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK))
  }, 10_000)
  await refuses(path, 'not-a-file', /is a named pipe.*name the plugin file itself/).finally(() =>
    clearTimeout(release),
  )
  assert.equal(waited, false)
})

test('refuses a socket and a device', { skip: onWindows }, async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = join(shop.folder, 'socket')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => server.close())
  await refuses(path, 'not-a-file', /is a socket.*name the plugin file itself/)
  await refuses('/dev/null', 'not-a-file', /is a device.*name the plugin file itself/)
})

const asRoot = process.getuid?.() === 0 && 'root may read every file'
const skip = onWindows || asRoot

test('refuses a file that this process may not read', { skip }, async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = await shop.write('secret.plugin.cjs', handMade())
  await chmod(path, 0o000)
  await refuses(path, 'unreadable', /EACCES.*see to it that this process may read it/)
})

test('refuses a link that leads to itself', { skip: onWindows }, async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = join(shop.folder, 'loop.plugin.cjs')
  await symlink(path, path)
  await refuses(path, 'unreadable', /ELOOP.*see to it that this process may read it/)
})

test('refuses an empty file', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  await refuses(await shop.write('empty.plugin.cjs', ''), 'empty', /is empty; build it again, or copy it/)
})

test('refuses a native library, and says that it is one', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const program = await open(process.execPath)
  t.after(() => program.close())
  const { buffer } = await program.read(Buffer.alloc(65_536), 0, 65_536, 0)
  const path = await shop.write('native.so', buffer)
  const isElf = buffer.toString('latin1', 0, 4) === '\x7fELF'
  await refuses(path, 'not-a-plugin', isElf ? /native \(ELF\) library.*micrograft build/ : /micrograft build/)
})

test('refuses files that are no plugins, whatever else they are', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const contents = {
    'script.cjs': `process.exit(1)\n`,
    'module.mjs': `export const Hello = () => 'hello'\n`,
    'comment.cjs': `/*! plugin 1 */\nprocess.exit(1)\n`,
    'nearly.cjs': `/*!plugin */\n\nprocess.exit(1)\n`,
    'wordy.cjs': `/*!plugin one */\n\nprocess.exit(1)\n`,
    'negative.cjs': `/*!plugin -1 */\n\nprocess.exit(1)\n`,
    'mark.cjs': `\ufeff${handMade().toString()}`,
    'late.cjs': `\n${handMade().toString()}`,
    'short.cjs': `/`,
    'zeros.cjs': Buffer.alloc(10_000),
  }
  for (const [name, content] of Object.entries(contents)) {
    await refuses(await shop.write(name, content), 'not-a-plugin', /make one with `micrograft build`/)
  }
})

const code = `exports.Hello = () => 'hello'\n`
const manifest = { name: 'cut', symbols: ['Hello'] }

test('refuses a file that was cut off, wherever that was', async (t) => {
  const shop = await workshop(t)
  const { staysAsItIs, platform } = await loneHost(shop)
  for (const signKey of [undefined, generateKeys().privateKey]) {
    const whole = handMade({ manifest, code, ...(signKey === undefined ? {} : { signKey }) })
    await staysAsItIs(async () => {
      for (let length = 0; length < whole.length; length++) {
        const path = await shop.write('cut.plugin.cjs', whole.subarray(0, length))
        const expected =
          length === 0 ? 'empty' : length < '/*!plugin 1 '.length ? 'not-a-plugin' : 'truncated'
        const error = await refusal(platform, path)
        assert.equal(error.code, expected, `at ${length}: ${error.message}`)
        assert.ok(error.message.includes(path))
      }
    })
  }
})

test('says how much of the code of a file that was cut off is there', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = await shop.write('cut.plugin.cjs', handMade({ manifest, code }).subarray(0, -10))
  await refuses(path, 'truncated', /has 20 of the 30 bytes of code.*copy it again/)
})

test('refuses a file with one byte of its code changed, whichever it is', async (t) => {
  const shop = await workshop(t)
  const { staysAsItIs, platform } = await loneHost(shop)
  const whole = handMade({ manifest, code })
  const start = whole.length - code.length
  await staysAsItIs(async () => {
    for (let at = start; at < whole.length; at++) {
      for (const change of [1, 0x20, 0x80]) {
        const changed = Buffer.from(whole)
        changed[at] = (changed[at] as number) ^ change
        const path = await shop.write('changed.plugin.cjs', changed)
        const error = await refusal(platform, path)
        assert.equal(error.code, 'code-mismatch', `at ${at}: ${error.message}`)
        assert.match(error.message, /changed or damaged; build it again, or copy it again/)
      }
    }
  })
})

test('refuses a file with one byte of its header changed, whichever it is', async (t) => {
  const shop = await workshop(t)
  const { staysAsItIs, platform } = await loneHost(shop)
  const whole = handMade({ manifest, code })
  const [, secondEnd] = lineEnds(whole)
  const codes = new Map<string, number>()
  await staysAsItIs(async () => {
    for (let at = 0; at <= secondEnd; at++) {
      const byte = whole[at] as number
      for (const other of new Set([byte ^ 1, byte ^ 0x20, byte ^ 0x80, 0, 10, 13, 32, 0x2f])) {
        if (other === byte) continue
        const changed = Buffer.from(whole)
        changed[at] = other
        const path = await shop.write('changed.plugin.cjs', changed)
        const error = await refusal(platform, path)
        assert.ok(error.message.includes(path))
        codes.set(error.code, (codes.get(error.code) ?? 0) + 1)
      }
    }
  })
  assert.deepEqual([...codes.keys()].sort(), [
    'malformed-signature',
    'manifest-mismatch',
    'newer-format',
    'not-a-plugin',
  ])
})

test('refuses a file to which something was added', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const path = await shop.write(
    'more.plugin.cjs',
    Buffer.concat([handMade({ manifest, code }), Buffer.from('process.exit(1)\n')]),
  )
  await refuses(path, 'code-mismatch', /has 16 bytes more than it says.*build it again, or copy it again/)
})

test('refuses a file over the size limit, for one opening, for a platform and for inspect', async (t) => {
  const shop = await workshop(t)
  const whole = handMade({ manifest, code })
  const path = await shop.write('large.plugin.cjs', whole)
  const { refuses, platform } = await loneHost(shop)
  const says = new RegExp(
    `has ${whole.length} bytes and the limit is ${whole.length - 1}; bundle less, or raise`,
  )
  await refuses(path, 'too-large', says, { maxBytes: whole.length - 1 })
  await assert.rejects(inspect(path, { maxBytes: whole.length - 1 }), { code: 'too-large' })
  const strict = shop.platform({ maxBytes: whole.length - 1 })
  assert.equal((await refusal(strict, path)).code, 'too-large')
  await strict.open(path, { maxBytes: whole.length })
  await platform.open(path)
})

test('refuses a size limit that is none', async (t) => {
  const shop = await workshop(t)
  const path = await shop.write('hand.plugin.cjs', handMade())
  for (const maxBytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => shop.platform({ maxBytes }), { code: 'invalid-option' })
    await assert.rejects(shop.platform().open(path, { maxBytes }), { code: 'invalid-option' })
  }
})
