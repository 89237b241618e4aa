import type { Logger } from '@micrograft/contracts'

const nothing = () => undefined

/** Writes nothing. */
export const silentLogger: Logger = {
  enabled: () => false,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}

/** The logger that writes nothing, to be chosen by name. */
export function noopLogger(): Logger {
  return silentLogger
}
