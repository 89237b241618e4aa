import type { Logger } from '@micrograft/contracts'
import { silentLogger } from '../../logger/noop-logger.js'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

type Make = (generation: Generation<Logger> | undefined) => Logger

/**
 * A logger goes on with the one that there is, and so do its children. Where there is none any more what it
 * is told goes nowhere: what fails when the service has stopped must not fail once more for being told of.
 */
export function loggerKeeper(slot: SlotView<Logger>): Keeper<Logger> {
  return { methods: { ...lasting(slot, (generation) => generation?.component ?? silentLogger) } }
}

function lasting(slot: SlotView<Logger>, make: Make): Logger {
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
    child: (fields) => lasting(slot, (generation) => make(generation).child(fields)),
  }
}
