import type { Command } from 'commander'
import type { ServiceRecord } from 'micrograft'
import { printable, printResult } from './output.js'
import { flagsOnly, serviceFlagsHelp, withService } from './with-service.js'

interface Flags {
  readonly json?: boolean
}

export function addServicesCommand(program: Command): void {
  program
    .command('services')
    .summary('list the services that the registry knows')
    .description(
      'Lists every service that the registry knows, with its versions and how many nodes each has.',
    )
    .argument('[flags...]', 'flags of a service, written with =')
    .allowUnknownOption()
    .option('--json', 'print one line of JSON')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', serviceFlagsHelp)
    .action(listServices)
}

async function listServices(
  given: readonly string[],
  { json = false }: Flags,
  command: Command,
): Promise<void> {
  const records = await withService(flagsOnly(given, command), (service) => service.use('registry').list())
  printResult(table(records), records, json)
}

function table(records: readonly ServiceRecord[]): string {
  if (records.length === 0) return 'no service is registered'
  const width = Math.max(...records.map(({ name }) => name.length))
  return records
    .map(
      ({ name, version, nodes }) =>
        `${printable(name).padEnd(width)}  ${printable(version)}  ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`,
    )
    .join('\n')
}
