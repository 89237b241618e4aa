import { ServiceError, type ComponentType, type ComponentTypes } from '@micrograft/contracts'

/** What a component of a type must have, as far as it shows from outside. */
export interface ContractShape {
  /** Methods that give a promise. */
  readonly calls: readonly string[]
  /** Methods that answer at once. */
  readonly direct: readonly string[]
  readonly properties: readonly string[]
}

/** One line for each type of component; `satisfies` holds it to the contracts. */
const shapes = {
  auth: {
    calls: ['issue', 'inspect', 'verify', 'grant', 'revoke', 'rules'],
    direct: [],
    properties: ['name'],
  },
  broker: { calls: ['publish', 'subscribe'], direct: [], properties: ['name', 'capabilities'] },
  client: { calls: ['call', 'stream'], direct: [], properties: ['name', 'protocol'] },
  codec: { calls: [], direct: ['encode', 'decode'], properties: ['name', 'contentTypes', 'text'] },
  config: { calls: ['read'], direct: ['watch'], properties: ['name'] },
  handler: { calls: [], direct: [], properties: ['endpoints'] },
  logger: {
    calls: [],
    direct: ['enabled', 'trace', 'debug', 'info', 'warn', 'error', 'child'],
    properties: [],
  },
  middleware: { calls: [], direct: [], properties: ['name'] },
  registry: {
    calls: ['register', 'deregister', 'get', 'list', 'watch'],
    direct: [],
    properties: ['name', 'capabilities'],
  },
  selector: { calls: ['select'], direct: [], properties: ['name'] },
  server: { calls: ['start', 'stop'], direct: [], properties: ['name', 'protocol'] },
  store: { calls: ['get', 'set', 'delete', 'list'], direct: [], properties: ['name', 'capabilities'] },
  tracer: { calls: [], direct: ['start'], properties: ['name'] },
  transport: { calls: ['listen', 'dial'], direct: [], properties: ['name'] },
} as const satisfies {
  readonly [K in ComponentType]: {
    readonly calls: readonly (keyof ComponentTypes[K])[]
    readonly direct: readonly (keyof ComponentTypes[K])[]
    readonly properties: readonly (keyof ComponentTypes[K])[]
  }
}

export const contractShapes: Readonly<Record<ComponentType, ContractShape>> = shapes

export const componentTypes: readonly ComponentType[] = Object.keys(shapes) as ComponentType[]

export function isComponentType(type: unknown): type is ComponentType {
  return typeof type === 'string' && Object.hasOwn(shapes, type)
}

/**
 * `value` as the component that a `newFunc` promised.
 * @throws `invalid-option`, naming all that is missing and what a component of the type has.
 */
export function requireComponent<K extends ComponentType>(
  type: K,
  value: unknown,
  label: string,
): ComponentTypes[K] {
  const { calls, direct, properties } = contractShapes[type]
  const object =
    (typeof value === 'object' || typeof value === 'function') && value !== null
      ? (value as Record<string, unknown>)
      : {}
  const missing = [
    ...[...calls, ...direct].filter((name) => typeof object[name] !== 'function').map((name) => `${name}()`),
    ...properties.filter((name) => object[name] === undefined || object[name] === null),
  ]
  if (missing.length === 0 && value !== null && typeof value === 'object') return value as ComponentTypes[K]
  const all = [...calls, ...direct].map((name) => `${name}()`).concat(properties)
  throw new ServiceError(
    'invalid-option',
    `newFunc of ${label} made no ${type}: ${value === undefined ? 'it gave nothing' : `it lacks ${missing.join(', ')}`}; a ${type} has ${all.join(', ')}`,
  )
}
