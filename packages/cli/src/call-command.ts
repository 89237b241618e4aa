import type { Command } from 'commander'
import { ServiceError } from '@micrograft/contracts'
import { jsonText } from './output.js'
import { refuseWords, serviceFlagsHelp, splitFlags, withService } from './with-service.js'

interface Flags {
  readonly metadata?: readonly string[]
  readonly address?: string
  readonly stream?: boolean
  readonly json?: boolean
}

export function addCallCommand(program: Command): void {
  program
    .command('call')
    .summary('call an endpoint of a service')
    .description('Calls an endpoint with a request in JSON and prints the reply.')
    .argument('<service>', 'name of the service')
    .argument('<endpoint>', 'Type.Method')
    .argument('[request]', 'the request in JSON', '{}')
    .argument('[flags...]', 'flags of a service, written with =')
    .allowUnknownOption()
    .option('--metadata <pair...>', 'name=value to send with the call')
    .option('--address <address>', 'call this node and ask no registry')
    .option('--stream', 'the endpoint gives a stream: print each of its messages on a line')
    .option('--json', 'print JSON on one line')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', serviceFlagsHelp)
    .action(callEndpoint)
}

async function callEndpoint(
  service: string,
  endpoint: string,
  request: string,
  given: readonly string[],
  flags: Flags,
  command: Command,
): Promise<void> {
  // A request that was left out makes room for the first flag.
  const { words, flags: serviceFlags } = splitFlags([request, ...given])
  refuseWords(words.slice(1), command)
  const body = parseRequest(words[0] ?? '{}')
  const metadata = Object.fromEntries((flags.metadata ?? []).map(parsePair))
  const print = (value: unknown) =>
    process.stdout.write(`${jsonText(value, flags.json || flags.stream ? undefined : 2)}\n`)
  await withService(serviceFlags, async ({ client }) => {
    const options = { metadata, address: flags.address }
    if (!flags.stream) return print(await client.call(service, endpoint, body, options))
    for await (const each of client.stream(service, endpoint, body, options)) print(each)
  })
}

function parseRequest(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new ServiceError(
      'bad-request',
      `the request is not JSON: ${(cause as Error).message}; write it as '{"name":"John"}'`,
      { cause },
    )
  }
}

function parsePair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at < 1)
    throw new ServiceError('invalid-option', `${JSON.stringify(pair)} is no metadata; write name=value`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}
