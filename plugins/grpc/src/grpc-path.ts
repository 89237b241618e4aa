import { ServiceError } from '@micrograft/contracts'

export interface GrpcPath {
  /** The package, which go-micro takes the service's name for; empty where there is none. */
  readonly service: string
  /** `Type.Method` */
  readonly endpoint: string
}

/**
 * The path of an endpoint: `/greeter.Say/Hello` for `Say.Hello` of `greeter`; one that starts with `/` is
 * one already.
 * @throws `bad-request`
 */
export function pathOf(service: string, endpoint: string): string {
  if (/^\/[\x21-\x7e]+$/.test(endpoint)) return endpoint
  const match = /^([\x21-\x2d\x30-\x7e]+)\.([\x21-\x2d\x30-\x7e]+)$/.exec(endpoint)
  if (!match || !/^[\x21-\x2e\x30-\x7e]*$/.test(service)) {
    throw new ServiceError(
      'bad-request',
      `${JSON.stringify(endpoint)} of ${JSON.stringify(service)} makes no gRPC path; write Type.Method, or /package.Type/Method`,
    )
  }
  return `/${service === '' ? '' : `${service}.`}${match[1]}/${match[2]}`
}

/** `/any.package.Say/Hello` taken apart; `undefined` where it is no such path. */
export function parsePath(path: string): GrpcPath | undefined {
  const match = /^\/(?:([^/]*)\.)?([^/.]+)\/([^/]+)$/.exec(path)
  return match ? { service: match[1] ?? '', endpoint: `${match[2]}.${match[3]}` } : undefined
}
