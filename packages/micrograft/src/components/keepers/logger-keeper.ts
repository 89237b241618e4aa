import type { LogFields, Logger } from '@micrograft/contracts'
import { silentLogger } from '../../logger/noop-logger.js'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

type Make = (generation: Generation<Logger> | undefined) => Logger

/** A child logger goes on with the logger that there is. */
export function loggerKeeper(slot: SlotView<Logger>): Keeper<Logger> {
  const top: Make = (generation) => generation?.component ?? silentLogger
  return {
    methods: { child: (fields: LogFields) => child(slot, (generation) => top(generation).child(fields)) },
  }
}

function child(slot: SlotView<Logger>, make: Make): Logger {
  let of: Generation<Logger> | undefined
  let made: Logger | undefined
  const current = (): Logger => {
    if (!made || of !== slot.current) {
      of = slot.current
      made = make(of)
    }
    return made
  }
  return {
    enabled: (level) => current().enabled(level),
    trace: (event, fields) => current().trace(event, fields),
    debug: (event, fields) => current().debug(event, fields),
    info: (event, fields) => current().info(event, fields),
    warn: (event, fields) => current().warn(event, fields),
    error: (event, fields) => current().error(event, fields),
    child: (fields) => child(slot, (generation) => make(generation).child(fields)),
  }
}
