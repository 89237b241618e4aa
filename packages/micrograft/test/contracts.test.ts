import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import {
  aCount,
  aTimer,
  errorCodes,
  longestTimerMs,
  requireLimits,
  requireNumber,
  requireNumbers,
  resolveOptions,
  ServiceError,
  timerMs,
  type ErrorCode,
} from '@micrograft/contracts'
import { packageVersion } from '../dist/package-version.js'

const codes = Object.entries(errorCodes) as [ErrorCode, (typeof errorCodes)[ErrorCode]][]

test('every code has a number and a text of its own, and survives the wire', () => {
  assert.equal(new Set(codes.map(([, { status }]) => status)).size, codes.length)
  assert.equal(new Set(codes.map(([, { text }]) => text)).size, codes.length)
  for (const [code, { status, text, retryable }] of codes) {
    const error = new ServiceError(code, 'what failed', { id: 'greeter' })
    assert.deepEqual(error.toWire(), { id: 'greeter', code: status, detail: 'what failed', status: text })
    const back = ServiceError.fromWire(JSON.parse(JSON.stringify(error.toWire())) as never)
    assert.deepEqual(
      [back.code, back.message, back.id, back.retryable],
      [code, 'what failed', 'greeter', retryable],
    )
  }
})

test('a number that no code has becomes the code of its class', () => {
  const of = (code: number) => ServiceError.fromWire({ id: '', code, detail: '', status: '' }).code
  assert.deepEqual(
    [of(418), of(599), of(0), of(302), of(-1), of(NaN)],
    ['bad-request', 'internal', 'internal', 'internal', 'internal', 'internal'],
  )
})

test('an error is told by its brand, also by another copy of the class', async () => {
  const copy = (await import(
    new URL('errors.js?copy', import.meta.resolve('@micrograft/contracts')).href
  )) as {
    ServiceError: typeof ServiceError
  }
  assert.notEqual(copy.ServiceError, ServiceError)
  assert.ok(new copy.ServiceError('closed', 'x') instanceof ServiceError)
  assert.ok(new ServiceError('closed', 'x') instanceof copy.ServiceError)
  for (const other of [new Error('x'), null, undefined, 'closed', { code: 'closed' }])
    assert.ok(!((other as object) instanceof ServiceError))
})

test('what was thrown is kept as the cause, and never crosses the wire', () => {
  const cause = new Error('secret')
  const error = ServiceError.from(cause, 'unavailable', 'store')
  assert.equal(error.cause, cause)
  assert.deepEqual(Object.keys(error.toWire()), ['id', 'code', 'detail', 'status'])
  assert.equal(ServiceError.from(error), error)
})

test('whatever was thrown becomes an error', () => {
  const throwing = new Error('x')
  Object.defineProperty(throwing, 'message', {
    get() {
      throw new Error('not to be read')
    },
  })
  for (const thrown of [
    Object.create(null),
    throwing,
    Object.assign(new Error(), { message: Symbol('x') }),
  ]) {
    const error = ServiceError.from(thrown, 'internal', 'greeter')
    assert.deepEqual([error.code, error.id, error.cause], ['internal', 'greeter', thrown])
    assert.equal(typeof error.toWire().detail, 'string')
  }
})

test('a code that the table has not, as untyped code may give it, is internal', () => {
  for (const code of ['teapot', 'constructor', '', undefined]) {
    const error = new ServiceError(code as ErrorCode, 'what failed')
    assert.deepEqual([error.code, error.retryable, error.toWire().code], ['internal', false, 500])
  }
})

const loose = resolveOptions as unknown as (what: string, defaults: object, options: object) => object

test('options are refused where they are unknown, and undefined is the default', () => {
  const given = { a: undefined, b: 2 }
  assert.deepEqual(
    resolveOptions<{ a?: number; b?: number }, { a: number; b: number }>('x', { a: 1, b: 1 }, given),
    { a: 1, b: 2 },
  )
  assert.deepEqual(given, { a: undefined, b: 2 })
  for (const none of [true, 5, 'text'])
    assert.throws(() => loose('the options of x', {}, none as unknown as object), {
      code: 'invalid-option',
      message: `the options of x are ${none}; give an object`,
    })
  assert.throws(() => loose('the options of x', { a: 1 }, { c: 1 }), {
    code: 'invalid-option',
    message: /the options of x have no "c"; there are a/,
  })
})

test('numbers of options are held against their range, by name', () => {
  const refusal = (call: () => void) => {
    try {
      call()
    } catch (error) {
      assert.equal((error as ServiceError).code, 'invalid-option')
      return (error as ServiceError).message
    }
    return undefined
  }
  const whole = 'give a whole number from 1 up'
  for (const [value, shown] of [
    [0, '0'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [Infinity, 'Infinity'],
    ['5', '"5"'],
    [null, 'null'],
  ])
    assert.equal(
      refusal(() => requireNumber('size', value, aCount)),
      `size is ${shown}; ${whole}`,
    )
  assert.equal(
    refusal(() => requireNumber('size', 1, aCount)),
    undefined,
  )
  assert.match(refusal(() => requireNumber('share', 1.1, { min: 0, max: 1 })) ?? '', /a number from 0 to 1$/)
  const options = { size: 1, pauseMs: longestTimerMs + 1, other: Number.NaN }
  assert.equal(
    refusal(() => requireNumbers('the options of x', options, { size: aCount, pauseMs: aTimer })),
    `pauseMs of the options of x is 2147483648; give a whole number from 1 to 2147483647`,
  )
  requireLimits('the options of x', { size: 0.5, timeoutMs: Infinity })
  for (const value of [0, -1, Number.NaN, '5', undefined])
    assert.match(
      refusal(() => requireLimits('the options of x', { timeoutMs: value })) ?? '',
      /^timeoutMs of the options of x is .*; give a number above 0$/,
    )
  assert.deepEqual(
    [timerMs(5), timerMs(longestTimerMs + 1), timerMs(Infinity)],
    [5, longestTimerMs, longestTimerMs],
  )
})

test('every code is thrown somewhere', async () => {
  const roots = ['micrograft/src', 'contracts/src', 'cli/src', 'testing/src'].map(
    (name) => new URL(`../../${name}/`, import.meta.url),
  )
  const texts: string[] = []
  for (const root of roots) {
    for (const name of await readdir(root, { recursive: true })) {
      if (name.endsWith('.ts') && !name.endsWith('errors.ts'))
        texts.push(await readFile(new URL(name.replaceAll('\\', '/'), root), 'utf8'))
    }
  }
  const source = texts.join('\n')
  for (const [code] of codes) assert.ok(source.includes(`'${code}'`), code)
})

test('the version that built-ins have is that of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  assert.equal(packageVersion, version)
})
