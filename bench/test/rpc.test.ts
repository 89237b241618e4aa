import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'bench', 'dist', 'main.js')

interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: readonly number[]
}

interface Results {
  readonly goals: readonly {
    readonly is: string
    readonly limit: number
    readonly value: number
    readonly reached: boolean
  }[]
  readonly [part: string]: unknown
}

/** A quick run of a suite: nothing of the peers is needed. */
async function quick(t: TestContext, suite: string) {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-bench-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { status, stderr } = spawnSync(process.execPath, [main, suite, '--quick', '--out', folder], {
    encoding: 'utf8',
    env: { ...process.env, BENCH_ROUNDS: undefined, BENCH_MS: undefined },
  })
  assert.equal(status, 0, stderr)
  const json = await readFile(join(folder, `${suite}.json`), 'utf8')
  const markdown = await readFile(join(folder, `${suite}.md`), 'utf8')
  assert.ok(!/NaN|undefined|Infinity/.test(markdown), markdown)
  for (const place of [root, tmpdir(), homedir()])
    assert.ok(!`${json}${markdown}`.includes(place), `${place} is in the results`)
  const results = JSON.parse(json) as Results
  for (const { is, limit, value, reached } of results.goals)
    assert.equal(reached, is === 'at least' ? value >= limit : value <= limit)
  for (const figure of figures(results)) {
    assert.equal(figure.min, Math.min(...figure.samples))
    assert.equal(figure.max, Math.max(...figure.samples))
    assert.ok(figure.min <= figure.median && figure.median <= figure.max)
  }
  return { results, markdown, folder }
}

function figures(value: unknown): Figure[] {
  if (typeof value !== 'object' || value === null) return []
  return 'samples' in value ? [value as Figure] : Object.values(value).flatMap(figures)
}

test('measures calls beside the bare echoes, with the goals that they have', async (t) => {
  const { results, markdown, folder } = await quick(t, 'rpc')
  interface At {
    readonly inFlight: number
    readonly perSecond: Figure
    readonly p50Ms: Figure
    readonly p99Ms: Figure
    readonly ours: Figure
  }
  const small = results['small'] as Readonly<Record<string, { readonly at: readonly At[] }>>
  assert.deepEqual(Object.keys(small), ['micrograft', 'net', 'joined'])
  for (const { at } of Object.values(small)) {
    assert.deepEqual(
      at.map(({ inFlight }) => inFlight),
      [1, 64, 256],
    )
    for (const { inFlight, perSecond, p50Ms, p99Ms } of at) {
      assert.ok(p50Ms.median > 0 && p50Ms.median <= p99Ms.median)
      // So many in flight, each as long: Little's law, as far as a median stands for a mean.
      const expected = (inFlight / p50Ms.median) * 1000
      assert.ok(
        perSecond.median < expected * 3 && perSecond.median > expected / 30,
        `${perSecond.median} calls a second, ${inFlight} in flight for ${p50Ms.median} ms`,
      )
    }
  }
  const ours = small['micrograft']?.at[1]?.perSecond.samples[0] ?? 0
  const bare = small['net']?.at[1]
  assert.ok(Math.abs((bare?.ours.median ?? 0) / (ours / (bare?.perSecond.samples[0] ?? 1)) - 1) < 0.01)
  assert.deepEqual(
    results.goals.map(({ limit }) => limit),
    [1.15, 0.75, 1.15, 0.75],
  )
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.svg'))) {
    assert.ok(markdown.includes(`(${file})`), `${file} is not shown`)
    const svg = await readFile(join(folder, file), 'utf8')
    assert.match(svg, /^<svg [^>]+>\n<style>[^<]+prefers-color-scheme: dark/)
    assert.equal(svg.match(/<polyline /g)?.length, 3)
    assert.ok(!/NaN|undefined|Infinity/.test(svg), svg)
  }
  const shown = [...markdown.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, file]) => file)
  assert.equal(shown.length, 4)
  for (const file of shown) await readFile(join(folder, file as string), 'utf8')
})

test('measures calls within a process and what a slot has of them', async (t) => {
  const { results } = await quick(t, 'local')
  const { rows } = results['calls'] as {
    readonly rows: readonly { readonly variant: string; readonly at: readonly { readonly ns: Figure }[] }[]
  }
  assert.deepEqual(
    rows.map(({ variant }) => variant),
    ['function', 'micrograft', 'micrograft async', 'micrograft slot', 'component', 'slot'],
  )
  for (const { at } of rows) for (const { ns } of at) assert.ok(ns.median > 1)
})

test('measures streams and events of each variant that has them', async (t) => {
  const streams = await quick(t, 'streams')
  const events = await quick(t, 'events')
  type Rows = readonly { readonly key: string; readonly perSecond: Figure }[]
  const rows = [...(streams.results['fast'] as Rows), ...(events.results['remote'] as Rows)]
  assert.deepEqual(
    rows.map(({ key }) => key),
    ['micrograft', 'net', 'joined', 'micrograft', 'net', 'joined'],
  )
  for (const { key, perSecond } of rows.slice(0, 3)) assert.ok(perSecond.median > 0, key)
})

test('measures what middleware, endpoints, nodes and slots cost', async (t) => {
  const { results, folder } = await quick(t, 'costs')
  for (const part of ['middleware', 'endpoints', 'nodes', 'slot']) {
    const rows = results[part] as readonly { readonly at: readonly { readonly cost: Figure }[] }[]
    assert.ok(rows.length > 1)
    for (const { cost } of rows[0]?.at ?? []) assert.equal(cost.median, 1)
  }
  assert.deepEqual((await readdir(folder)).sort(), [
    ...['nodes', 'plugins', 'swaps'].flatMap((part) => [
      `costs-${part}-p99.svg`,
      `costs-${part}-throughput.svg`,
    ]),
    'costs.json',
    'costs.md',
  ])
})
