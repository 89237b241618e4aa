import type { ClientRequest } from '@micrograft/contracts'
import { grpcContentType } from './content-type.js'
import { writeMetadata } from './grpc-metadata.js'
import { pathOf } from './grpc-path.js'
import { timeoutHeaders } from './grpc-timeout.js'
import { acceptedEncodings } from './message-frame.js'

/** The headers of a call, but for `:scheme`. @throws `bad-request` where the request cannot go over gRPC. */
export function requestHeaders(request: ClientRequest): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {
    ':method': 'POST',
    ':path': pathOf(request.service, request.endpoint),
    te: 'trailers',
    'content-type': grpcContentType(request.contentType),
    'x-content-type': request.contentType,
    'user-agent': 'micrograft-grpc',
    'grpc-accept-encoding': acceptedEncodings,
    ...timeoutHeaders(request.timeoutMs),
  }
  writeMetadata(request.metadata, headers)
  return headers
}
