import { ServiceError, type HandlerContext, type Logger } from '@micrograft/contracts'

/** What a caller is told of what a handler threw. What is no `ServiceError` is a defect, and logged. */
export function handlerFailure(
  thrown: unknown,
  { service, endpoint, signal }: Pick<HandlerContext, 'service' | 'endpoint' | 'signal'>,
  log: () => Logger,
): ServiceError {
  // What a handler throws because its call was given up is the giving up.
  if (thrown === signal.reason && signal.aborted) return ServiceError.from(thrown, 'canceled', service)
  if (thrown instanceof ServiceError)
    return thrown.id === 'micrograft'
      ? new ServiceError(thrown.code, thrown.message, { id: service, cause: thrown })
      : thrown
  log().error('handler failed', { endpoint, error: thrown })
  return ServiceError.from(thrown, 'internal', service)
}
