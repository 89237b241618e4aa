import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('the demo swaps handlers, server and client under load, and no call fails', () => {
  const demo = fileURLToPath(new URL('../dist/src/demo.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [demo], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
  assert.match(stdout, /version 1 says: Hello John\n/)
  assert.match(stdout, /handler greeter: calls go to greeter 2\.0\.0\n/)
  assert.match(stdout, /version 2 says: Good day, John\n/)
  assert.match(stdout, /^without swaps +[\d,]+ +0 +0 +[\d.]+ +[\d.]+$/m)
  assert.match(stdout, /^handlers, server and client +[\d,]+ +0 +36 +[\d.]+ +[\d.]+$/m)
})
