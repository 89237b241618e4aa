import assert from 'node:assert/strict'
import type { Schema, SchemaResult } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { HandlerSubject } from '../handler-cases.js'
import { definitionsOf, valid } from './asking.js'

const part = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const kinds = /^(unary|server|client|two-way)$/
const anything = [undefined, null, true, 0, '', 'text', [], {}, { name: 1, to: 'x' }, new Uint8Array(2)]

function checkResult(result: SchemaResult<unknown>, where: string): void {
  assert.ok(typeof result === 'object' && result !== null, `${where} gives no result`)
  if (!result.issues) return assert.ok('value' in result, `${where} gives neither a value nor issues`)
  assert.ok(Array.isArray(result.issues) && result.issues.length > 0, `${where} gives no list of issues`)
  for (const { message, path = [] } of result.issues) {
    assert.equal(typeof message, 'string', `${where} gives an issue without a message`)
    assert.ok(Array.isArray(path), `${where} gives a path that is no list`)
    for (const each of path as readonly (PropertyKey | { readonly key: PropertyKey })[])
      assert.match(typeof (typeof each === 'object' ? each.key : each), /^(string|number|symbol)$/, where)
  }
}

async function checkSchema(schema: Schema | undefined, where: string): Promise<void> {
  if (schema === undefined) return
  const standard = schema['~standard']
  assert.equal(typeof standard, 'object', `${where} is no Standard Schema`)
  assert.equal(standard.version, 1, where)
  assert.ok(typeof standard.vendor === 'string' && standard.vendor !== '', `${where} has no vendor`)
  for (const value of anything) checkResult(await standard.validate(value), where)
}

export const shapeCases: readonly Case<HandlerSubject>[] = [
  {
    name: 'endpoints are named Type.Method, and there is one at least',
    async run({ handlers }) {
      const { service, endpoints } = handlers
      if (service !== undefined) assert.match(service, /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
      for (const [type, group] of Object.entries(endpoints))
        for (const name of [type, ...Object.keys(group)]) assert.match(name, part)
      assert.ok(definitionsOf(handlers).size > 0, 'there is nothing to call')
    },
  },
  {
    name: 'each endpoint is a function, or says its kind and has one',
    async run({ handlers }) {
      for (const [name, { kind, handle, internal, metadata = {} }] of definitionsOf(handlers)) {
        assert.match(kind, kinds, name)
        assert.equal(typeof handle, 'function', name)
        assert.match(typeof internal, /^(boolean|undefined)$/, name)
        for (const [key, value] of Object.entries(metadata))
          assert.equal(typeof value, 'string', `the metadata ${key} of ${name} is no text`)
      }
    },
  },
  {
    name: 'schemas are Standard Schemas, which say of any value whether it is right',
    async run({ handlers }) {
      for (const [name, { input, output }] of definitionsOf(handlers)) {
        await checkSchema(input, `the input of ${name}`)
        await checkSchema(output, `the output of ${name}`)
      }
    },
  },
  {
    name: 'a schema takes what is asked',
    async run({ handlers, asks }) {
      const definitions = definitionsOf(handlers)
      for (const { endpoint, request, messages = [request] } of asks)
        for (const each of messages) await valid(definitions.get(endpoint)?.input, each)
    },
  },
]
