import type { LogFields } from '@micrograft/contracts'

/** Deepest chain of causes that is written. */
const maxCauses = 5

/** Fields as data that can be written: errors with their stack and causes, and nothing that JSON refuses. */
export function plainFields(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value, new Set(), 0)]))
}

function plain(value: unknown, above: Set<object>, depth: number): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return `[function ${value.name}]`
  if (typeof value !== 'object' || value === null) return value
  if (above.has(value)) return '[circular]'
  if (depth > 8) return '[deep]'
  const inner = new Set(above).add(value)
  if (value instanceof Error) return plainError(value, inner, depth)
  if (Array.isArray(value)) return value.slice(0, 100).map((each) => plain(each, inner, depth + 1))
  if ('toJSON' in value) return value
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 100)
      .map(([name, each]) => [name, plain(each, inner, depth + 1)]),
  )
}

function plainError(error: Error & { code?: unknown }, above: Set<object>, depth: number): LogFields {
  const { name, message, stack, code, cause } = error
  return {
    name,
    message,
    ...(code === undefined ? {} : { code: plain(code, above, depth + 1) }),
    stack,
    ...(cause === undefined || depth >= maxCauses ? {} : { cause: plain(cause, above, depth + 1) }),
  }
}
