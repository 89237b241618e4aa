import type { Command } from 'commander'
import { ServiceError, type ServiceRecord } from '@micrograft/contracts'
import { printable, printResult, strong } from './output.js'
import { flagsOnly, serviceFlagsHelp, withService } from './with-service.js'

interface Flags {
  readonly json?: boolean
}

export function addDescribeCommand(program: Command): void {
  program
    .command('describe')
    .summary("print a service's endpoints and nodes")
    .description('Prints the endpoints and nodes of each version of a service, as the registry has them.')
    .argument('<service>', 'name of the service')
    .argument('[flags...]', 'flags of a service, written with =')
    .allowUnknownOption()
    .option('--json', 'print one line of JSON')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', serviceFlagsHelp)
    .action(describeService)
}

async function describeService(
  name: string,
  given: readonly string[],
  { json = false }: Flags,
  command: Command,
): Promise<void> {
  const records = await withService(flagsOnly(given, command), (service) => service.use('registry').get(name))
  if (records.length === 0) {
    throw new ServiceError(
      'not-found',
      `no node of ${name} is registered; see micrograft services for those that are`,
    )
  }
  printResult(records.map(describe).join('\n'), records, json)
}

function describe({ name, version, endpoints, nodes }: ServiceRecord): string {
  const kinds: Readonly<Record<string, string>> = {
    server: 'gives a stream',
    client: 'takes a stream',
    true: 'streams both ways',
  }
  return [
    strong(`${printable(name)} ${printable(version)}`),
    ...endpoints.map((endpoint) => {
      const kind = kinds[endpoint.metadata['stream'] ?? '']
      return `  ${printable(endpoint.name)}${kind === undefined ? '' : `  (${kind})`}`
    }),
    ...nodes.map(
      ({ id, address, metadata }) => `  node ${printable(id)} at ${printable(address)}${pairs(metadata)}`,
    ),
  ].join('\n')
}

function pairs(metadata: Readonly<Record<string, string>>): string {
  const shown = Object.entries(metadata).map(([key, value]) => `${printable(key)}=${printable(value)}`)
  return shown.length === 0 ? '' : `  ${shown.join(' ')}`
}
