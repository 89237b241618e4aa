export const protocols = ['mucp', 'grpc'] as const
export const contentTypes = ['application/json', 'application/protobuf'] as const
export const features = [
  'unary',
  'error',
  'metadata',
  'deadline',
  'server stream',
  'two-way stream',
  'event',
] as const

export type Protocol = (typeof protocols)[number]
export type ContentType = (typeof contentTypes)[number]
export type Feature = (typeof features)[number]
export type Registry = 'mdns' | 'etcd' | 'nats'

/** A registry, with a broker that a service beside it uses. */
export interface Place {
  readonly registry: Registry
  readonly broker: 'http' | 'nats'
}

/** What one cell of the matrix is about. */
export interface Cell extends Place {
  /** Of go-micro, e.g. `v2`. */
  readonly version: string
  /** Who calls or publishes. */
  readonly from: 'node' | 'go'
  readonly protocol: Protocol
  readonly type: ContentType
  readonly feature: Feature
}

/** What came of one case on either side; a cell may need several. */
export interface CaseResult {
  readonly got: readonly string[]
  readonly error: CaseError | undefined
  readonly ms: number
}

export interface CaseError {
  readonly id?: string | undefined
  /** As HTTP has it. */
  readonly code?: number | undefined
  readonly detail?: string | undefined
}

/** `works`, or why not. */
export type Outcome = { readonly works: true } | { readonly works: false; readonly why: string }

export interface Checked {
  readonly cell: Cell
  readonly outcome: Outcome
  /** Why go-micro itself cannot do it. */
  readonly limit: string | undefined
}

/** A registry that cannot be tried here has no place. */
export function places(registries: readonly Registry[]): readonly Place[] {
  return [
    ...registries.map((registry): Place => ({ registry, broker: 'http' })),
    { registry: 'nats', broker: 'nats' },
  ]
}

/** Whether a cell came out as it must. */
export function isExpected({ outcome, limit }: Checked): boolean {
  return outcome.works === (limit === undefined)
}

export function nameOf({ version, from, protocol, type, feature, registry, broker }: Cell): string {
  const way = from === 'node' ? `Node to ${version}` : `${version} to Node`
  const where = feature === 'event' ? `${broker} broker, ${registry}` : registry
  return `${way}, ${protocol}, ${type.slice('application/'.length)}, ${where}: ${feature}`
}
