type Subtype = 'proto' | 'json' | 'bytes'

const logical: Readonly<Record<string, string>> = {
  proto: 'application/protobuf',
  json: 'application/json',
  bytes: 'application/octet-stream',
}

const subtypes: Readonly<Record<string, Subtype>> = {
  'application/json': 'json',
  'application/grpc+json': 'json',
  'application/proto': 'proto',
  'application/protobuf': 'proto',
  'application/x-protobuf': 'proto',
  'application/grpc': 'proto',
  'application/grpc+proto': 'proto',
}

const pattern = /^application\/grpc(?:\+([a-z0-9._-]+))?[ \t]*(?:;|$)/i

/** The `content-type` of a call whose bodies are of `contentType`. */
export function grpcContentType(contentType: string): string {
  const plain = contentType.replace(/;.*$/s, '').trim().toLowerCase()
  return `application/grpc+${subtypes[plain] ?? 'bytes'}`
}

export function isGrpcContentType(contentType: string | undefined): boolean {
  return contentType !== undefined && pattern.test(contentType)
}

/**
 * What the bodies of a call are.
 * @param named The header `x-content-type`, which go-micro and this client send.
 */
export function bodyContentType(contentType: string, named: string | undefined): string {
  if (named && !/^application\/grpc\b/i.test(named)) return named
  const subtype = pattern.exec(named || contentType)?.[1]?.toLowerCase() ?? 'proto'
  return logical[subtype] ?? `application/${subtype}`
}
