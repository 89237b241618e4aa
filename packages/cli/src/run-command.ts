import type { Command } from 'commander'
import { flagsOnly, serviceFlagsHelp } from './with-service.js'

interface Flags {
  readonly name?: string
  readonly json?: boolean
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run a service from a plugin file')
    .description(
      'Runs a service whose endpoints come from a plugin file of type handler, until SIGINT or SIGTERM.',
    )
    .argument('<file>', 'the plugin file')
    .argument('[flags...]', 'flags of a service, written with =')
    .allowUnknownOption()
    .option('--name <name>', 'name of the service; else the one that the plugin gives')
    .option('--json', 'print one line of JSON when the service is started')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', serviceFlagsHelp)
    .action(runFile)
}

async function runFile(
  file: string,
  given: readonly string[],
  { name, json = false }: Flags,
  command: Command,
): Promise<void> {
  const flags = flagsOnly(given, command)
  // Before there is anything that would have to be taken back.
  const stopAsked = asked()
  const { createService } = await import('micrograft')
  const service = createService({ handlers: [file], name, admin: true })
  try {
    await service.init(flags)
    await service.start()
    const { name: started, address } = service
    process.stdout.write(
      `${json ? JSON.stringify({ name: started, address }) : `${started} answers at ${address}`}\n`,
    )
    await stopAsked
  } finally {
    await service.stop()
  }
}

function asked(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve()).once('SIGTERM', () => resolve())
  })
}
