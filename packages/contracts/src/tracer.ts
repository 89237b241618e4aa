/** Identity of a span, as W3C Trace Context has it. */
export interface SpanContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string
  readonly sampled: boolean
}

export interface SpanOptions {
  readonly kind: 'client' | 'server' | 'producer' | 'consumer' | 'internal'
  /** The span that this one is part of: a local one, or one that came with a call. @default a new trace */
  readonly parent?: SpanContext | undefined
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined
}

export interface Span {
  readonly context: SpanContext
  set(name: string, value: string | number | boolean): void
  /** Ends it, once; what follows is ignored. */
  end(error?: unknown): void
}

/** Follows calls across services. No method throws or waits. */
export interface Tracer extends AsyncDisposable {
  readonly name: string
  start(name: string, options: SpanOptions): Span
}
