import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

test('arguments and results pass through a handle as they are', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export const same = (value: unknown): unknown => value
    export const count = (...args: unknown[]): number => args.length
    export function all(): unknown[] { return [...arguments] }
    export const defaulted = (a: unknown = 'default', b?: unknown): unknown[] => [a, b]`
  const host = platform()
  const { call } = host.use<{
    same(value?: unknown): unknown
    count(...args: unknown[]): number
    all(...args: unknown[]): unknown[]
    defaulted(a?: unknown, b?: unknown): unknown[]
  }>('through')
  await host.open((await plugin('through', source)).path)
  const values = [
    undefined,
    null,
    0,
    -0,
    NaN,
    '',
    1n,
    Symbol('s'),
    {},
    [],
    () => 0,
    new Map(),
    new Error('e'),
  ]
  for (const value of values) assert.ok(Object.is(call.same(value), value))
  assert.equal(call.count(), 0)
  assert.equal(call.count(undefined), 1)
  assert.equal(call.count(...Array<undefined>(300)), 300)
  assert.deepEqual(call.all(1, undefined, 3), [1, undefined, 3])
  assert.deepEqual(call.defaulted(undefined, 2), ['default', 2])
})

test('what a plugin throws reaches the caller as it is', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export function fail(thrown: unknown): never { throw thrown }
    export async function reject(thrown: unknown): Promise<never> { throw thrown }`
  const host = platform()
  const { call } = host.use<{ fail(thrown: unknown): never; reject(thrown: unknown): Promise<never> }>(
    'fails',
  )
  await host.open((await plugin('fails', source)).path)
  for (const thrown of [new TypeError('mine'), 'text', undefined, { code: 1 }]) {
    let caught: unknown = 'nothing'
    try {
      call.fail(thrown)
    } catch (error) {
      caught = error
    }
    assert.equal(caught, thrown)
    assert.equal(await call.reject(thrown).catch((error: unknown) => error), thrown)
  }
})

test('asynchronous functions and generators of both kinds work through a handle', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export async function later(n: number): Promise<number> { await null; return n + 1 }
    export function* upTo(n: number): Generator<number, string, number> {
      let sum = 0
      for (let i = 1; i <= n; i++) sum += (yield i) ?? 0
      return 'sum ' + sum
    }
    export async function* lateUpTo(n: number): AsyncGenerator<number> { for (let i = 1; i <= n; i++) yield i }`
  interface Source {
    later(n: number): Promise<number>
    upTo(n: number): Generator<number, string, number | undefined>
    lateUpTo(n: number): AsyncGenerator<number>
  }
  const host = platform()
  const { call } = host.use<Source>('sequences')
  await host.open((await plugin('sequences', source)).path)
  assert.equal(await call.later(1), 2)
  assert.deepEqual([...call.upTo(3)], [1, 2, 3])
  const steps = call.upTo(2)
  steps.next()
  steps.next(10)
  assert.deepEqual(steps.next(20), { done: true, value: 'sum 30' })
  const late: number[] = []
  for await (const n of call.lateUpTo(3)) late.push(n)
  assert.deepEqual(late, [1, 2, 3])
})

test('a generator goes on in the version that it was begun in', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = (text: string) =>
    `export function* twice(): Generator<string> { yield ${JSON.stringify(text)}; yield ${JSON.stringify(text)} }`
  const host = platform()
  const { call } = host.use<{ twice(): Generator<string> }>('twice')
  await host.open((await plugin('twice', source('one'))).path)
  const begun = call.twice()
  assert.equal(begun.next().value, 'one')
  await host.open((await plugin('twice', source('two'), { version: '2.0.0' })).path)
  assert.equal(begun.next().value, 'one')
  assert.equal(call.twice().next().value, 'two')
})

test('a function is called without a `this`, however it is called through a handle', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    class Counter { n = 0; add = (): number => ++this.n; self(): Counter { return this } }
    const counter = new Counter()
    export const { add } = counter
    export const self = counter.self.bind(counter)
    export function me(this: unknown): unknown { 'use strict'; return this }`
  const host = platform()
  const { call } = host.use<{ add(): number; self(): object; me(this: unknown): unknown }>('counter')
  await host.open((await plugin('counter', source)).path)
  assert.equal(call.add(), 1)
  assert.equal(call.add.call({ n: 100 } as never), 2)
  assert.equal(call.self(), call.self())
  assert.equal(call.me(), undefined)
  assert.equal(call.me.call(host), undefined)
})

test('a function through a handle may call another, and open, close and prefer versions of itself', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = (text: string) =>
    `export const ask = (next: (step: string) => unknown): unknown => next(${JSON.stringify(text)})`
  const host = platform()
  const { call } = host.use<{ ask<T>(next: (step: string) => T): T }>('asks')
  await host.open((await plugin('asks', source('one'))).path)
  const second = await host.open((await plugin('asks', source('two'), { version: '2.0.0' })).path)
  const answers = call.ask((outer) => {
    void second.close()
    return [outer, call.ask((inner) => inner)]
  })
  assert.deepEqual(answers, ['two', 'one'])
})
