import type { Span, Tracer } from '@micrograft/contracts'

/** Follows nothing, and makes nothing for each span. */
export function noopTracer(): Tracer {
  const span: Span = {
    context: { traceId: '0'.repeat(32), spanId: '0'.repeat(16), sampled: false },
    set: () => undefined,
    end: () => undefined,
  }
  return { name: 'noop', start: () => span, [Symbol.asyncDispose]: () => Promise.resolve() }
}
