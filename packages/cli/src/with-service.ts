import type { Command } from 'commander'
import type { Service } from 'micrograft'

/**
 * Runs `work` with a service that only calls, set up by the environment and by flags of a service that
 * stand among the command's own, written as `--registry=memory`.
 */
export async function withService<T>(
  flags: readonly string[],
  work: (service: Service) => Promise<T>,
): Promise<T> {
  const { createService } = await import('micrograft')
  const service = createService({ name: 'micrograft', logger: 'noop' })
  try {
    await service.init(flags)
    await service.start()
    return await work(service)
  } finally {
    await service.stop()
  }
}

/** Splits what a command was given into its arguments and the flags of a service. */
export function splitFlags(given: readonly string[]): {
  readonly words: readonly string[]
  readonly flags: readonly string[]
} {
  return {
    words: given.filter((each) => !each.startsWith('--')),
    flags: given.filter((each) => each.startsWith('--')),
  }
}

/** The flags of a service among what follows the arguments of `command`; anything else there is a mistake. */
export function flagsOnly(given: readonly string[], command: Command): readonly string[] {
  const { words, flags } = splitFlags(given)
  refuseWords(words, command)
  return flags
}

/** Ends `command` as wrong usage where there are words that it has no place for. */
export function refuseWords(words: readonly string[], command: Command): void {
  if (words.length > 0)
    command.error(
      `there is no place for ${words.map((word) => JSON.stringify(word)).join(', ')}; write a flag with =, and what has spaces in quotes`,
    )
}

/** What every command that talks to services says of itself. */
export const serviceFlagsHelp = `
Which registry, client and so on it uses is set as for a service: by MICRO_REGISTRY, MICRO_CLIENT,
MICRO_PLUGIN and the rest, or by flags written with =, e.g. --registry=memory --plugin=./xrpc.plugin.cjs`
