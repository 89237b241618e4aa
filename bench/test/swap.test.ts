import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('a quick run of the suite swap loses nothing and writes its report, its samples and its chart', async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'micrograft-bench-test-'))
  t.after(() => rm(out, { recursive: true, force: true }))
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [main, 'swap', '--quick', '--out', out], {
    encoding: 'utf8',
    timeout: 240_000,
  })
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
  const { proof, latency } = JSON.parse(await readFile(join(out, 'swap.json'), 'utf8')) as {
    proof: { type: string; outcome: { failed: number; lost: number; calls: number } }[]
    latency: { withP99: { median: number } }
  }
  assert.equal(proof.length, 11)
  for (const { type, outcome } of proof) {
    assert.deepEqual({ type, failed: outcome.failed, lost: outcome.lost }, { type, failed: 0, lost: 0 })
    assert.ok(outcome.calls > 0)
  }
  assert.ok(latency.withP99.median > 0)
  assert.match(await readFile(join(out, 'swap.md'), 'utf8'), /A quick run/)
  assert.match(await readFile(join(out, 'swap.svg'), 'utf8'), /^<svg [^]*class="swap"[^]*<\/svg>\n$/)
})
