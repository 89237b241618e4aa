import { randomBytes } from 'node:crypto'
import {
  requireNumber,
  resolveOptions,
  ServiceError,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
} from '@micrograft/contracts'

export interface MemoryTracerOptions {
  /** Most ended spans that are kept, the newest. @default 256 */
  readonly maxSpans?: number | undefined
}

/** A span that has ended. */
export interface EndedSpan {
  readonly name: string
  readonly kind: SpanOptions['kind']
  readonly context: SpanContext
  readonly parentId: string | undefined
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly durationMs: number
  /** The message of the error that it ended with. */
  readonly error: string | undefined
}

export interface MemoryTracer extends Tracer {
  /** Spans that have ended, the oldest first. */
  readonly spans: readonly EndedSpan[]
}

/** Keeps the last spans in memory, to be looked at. */
export function memoryTracer(options?: MemoryTracerOptions): MemoryTracer {
  const { maxSpans } = resolveOptions('the options of the memory tracer', { maxSpans: 256 }, options)
  requireNumber('maxSpans of the memory tracer', maxSpans, { min: 0 })
  const spans: EndedSpan[] = []
  return {
    name: 'memory',
    get spans() {
      return [...spans]
    },
    start: (name, spanOptions) =>
      startSpan(name, spanOptions, (ended) => {
        spans.push(ended)
        if (spans.length > maxSpans) spans.shift()
      }),
    [Symbol.asyncDispose]: () => {
      spans.length = 0
      return Promise.resolve()
    },
  }
}

function startSpan(
  name: string,
  { kind, parent, attributes = {} }: SpanOptions,
  onEnd: (span: EndedSpan) => void,
): Span {
  const startedAt = Date.now()
  const started = performance.now()
  const values: Record<string, string | number | boolean> = { ...attributes }
  const context: SpanContext = {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    sampled: parent?.sampled ?? true,
  }
  let ended = false
  return {
    context,
    set(key, value) {
      if (!ended) values[key] = value
    },
    end(error) {
      if (ended) return
      ended = true
      const message = error === undefined ? undefined : ServiceError.from(error).message
      onEnd({
        name,
        kind,
        context,
        parentId: parent?.spanId,
        attributes: values,
        startedAt,
        durationMs: performance.now() - started,
        error: message,
      })
    },
  }
}
