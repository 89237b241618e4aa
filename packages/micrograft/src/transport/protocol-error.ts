import { ServiceError } from '@micrograft/contracts'

/** What a peer did that its protocol does not allow. */
export function protocolError(message: string): ServiceError {
  return new ServiceError('protocol', message)
}
