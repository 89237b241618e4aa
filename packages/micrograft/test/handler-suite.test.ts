import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { EndpointDefinition } from '@micrograft/contracts'
import { componentContext, handlerCases, type Asking } from '@micrograft/testing'
import { HandlerSets, stateOf } from '../dist/handle/handler-sets.js'
import {
  brokenHandlers,
  brokenSet,
  defaultAsks,
  endLeftovers,
  type BrokenHandlers,
} from './support/broken-handlers.js'
import { complyEveryWay, type Make } from './support/comply-every-way.js'
import { counterHandler } from './support/counter-handler.js'

const asks: readonly Asking[] = [
  { endpoint: 'Counter.Add', request: { by: 2 } },
  { endpoint: 'Counter.Steps', request: { by: 3 } },
  { endpoint: 'Counter.Sum', messages: [{ by: 1 }, { by: 2 }] },
  { endpoint: 'Counter.Running', messages: [{ by: 1 }, { by: 2 }] },
  { endpoint: 'Counter.Watch', endless: true },
  { endpoint: 'Plain.Double', request: { by: 4 } },
  { endpoint: 'Plain.Twice', request: 'twice' },
]

/** In a service, in the place of another whose state it got: of one that has counted, unless it is to begin with a state. */
function inPlaceOfAnother(make: Make<'handler'>): Make<'handler'> {
  return async (options, context) => {
    const sets = new HandlerSets({
      tell: () => undefined,
      taken: () => false,
      changed: () => Promise.resolve(),
    })
    const candidate = (state: () => object) => ({
      name: 'counter',
      label: 'counter 1.0.0',
      options: {},
      make: async () => make({ ...state(), ...(options as object | undefined) }, context),
    })
    const old = await sets.add(candidate(() => ({})))
    const add = sets.find('Counter.Add')?.definition.handle as unknown as (
      request: unknown,
    ) => Promise<unknown>
    if (options === undefined) await add({ by: 7 })
    const slot = sets.slot()
    await slot.swap(
      candidate(() => stateOf(old)),
      { watchMs: 0 },
    )
    const endpoints: Record<string, Record<string, EndpointDefinition>> = {}
    for (const [name, definition] of sets.all) {
      const [type, method] = name.split('.') as [string, string]
      endpoints[type] = { ...endpoints[type], [method]: definition }
    }
    return {
      endpoints,
      dehydrate: () => slot.current?.component.dehydrate?.(),
      hydrate: (state) => slot.current?.component.hydrate?.(state),
      [Symbol.asyncDispose]: () => sets[Symbol.asyncDispose](),
    }
  }
}

complyEveryWay('counter handler', handlerCases, {
  type: 'handler',
  name: 'counter',
  file: '../dist-test/support/counter-handler',
  factory: 'counterHandler',
  swap: inPlaceOfAnother,
  subject: (handlers, another) => ({
    handlers,
    another: (state) => another(state === undefined ? undefined : { state }),
    asks,
    [Symbol.asyncDispose]: () => handlers[Symbol.asyncDispose](),
  }),
})

test('each way to be wrong is found by the cases that speak of it, and each case finds one', async (t) => {
  t.after(endLeftovers)
  const found = brokenHandlers.flatMap((each) => each.found.map((name) => ({ ...each, name })))
  const isAlone = ({ name }: { readonly name: string }) => name === 'what was disposed lets the process end'
  for (const each of found.filter(isAlone)) await finds(each)
  await Promise.all(found.filter((each) => !isAlone(each)).map(finds))
  assert.deepEqual(
    [...new Set(found.map(({ name }) => name))].sort(),
    handlerCases.map(({ name }) => name).sort(),
  )
})

async function finds({
  make,
  asks = defaultAsks,
  name,
}: BrokenHandlers & { readonly name: string }): Promise<void> {
  const { run } = handlerCases.find((each) => each.name === name) as (typeof handlerCases)[number]
  const subject = {
    handlers: brokenSet(make, undefined),
    asks,
    another: async (state: unknown) => brokenSet(make, state),
    [Symbol.asyncDispose]: async () => undefined,
  }
  // A case that never ends has found it too: the runner would say so.
  await assert.rejects(ended(run(subject)), `${String(make)} passes: ${name}`)
}

/** What `run` gives. @throws where it does not end. */
async function ended(run: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it does not end')), 2000)
  })
  await Promise.race([run, hanging]).finally(() => clearTimeout(timer))
}

test('a process that has made, used and disposed a counter ends by itself', async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const program = `
    const { counterHandler } = await import(${url('./support/counter-handler.js')})
    const { componentContext, handlerCases } = await import(${JSON.stringify(import.meta.resolve('@micrograft/testing'))})
    const handlers = counterHandler(undefined, componentContext())
    const subject = {
      handlers,
      another: async (state) => counterHandler(state && { state }, componentContext()),
      asks: ${JSON.stringify(asks)},
    }
    for (const { run } of handlerCases) await run({ ...subject, handlers: await subject.another() })
    await handlers[Symbol.asyncDispose]()
    process.stdout.write('disposed')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 30_000,
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  })
  assert.equal(stdout, 'disposed')
})

test('the counter refuses a state that it did not give', () => {
  for (const state of [null, {}, { count: '1' }, { count: 1, more: 2 }])
    assert.throws(() => counterHandler({ state }, componentContext()), { code: 'invalid-option' })
})
