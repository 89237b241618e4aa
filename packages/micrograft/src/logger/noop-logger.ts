import type { Logger } from '@micrograft/contracts'

/** Writes nothing. */
export function noopLogger(): Logger {
  const nothing = () => undefined
  const logger: Logger = {
    enabled: () => false,
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: nothing,
    child: () => logger,
  }
  return logger
}
