import { inspect, type Inspection } from '@micrograft/plugin'
import type { Command } from 'commander'
import { namingKeyFiles, readKeyFile } from './key-file.js'
import { printable, printResult, shownPath, strong } from './output.js'

interface InspectFlags {
  readonly verify?: readonly string[]
  readonly json?: boolean
}

export function addInspectCommand(program: Command): void {
  program
    .command('inspect')
    .summary('print what a plugin file says of itself, without running it')
    .description(
      'Prints what a plugin file says of itself, after holding its code against its manifest. Nothing in it runs.',
    )
    .argument('<file>', 'the plugin file')
    .option('--verify <pubkey...>', 'refuse the file unless it is signed with one of these public keys')
    .option('--json', 'print one line of JSON')
    .helpOption('-h, --help', 'print this')
    .action(inspectFile)
}

async function inspectFile(file: string, { verify, json = false }: InspectFlags): Promise<void> {
  const keys = verify && (await Promise.all(verify.map(readKeyFile)))
  const inspection = await inspect(file, { keys }).catch((error: unknown) => {
    throw namingKeyFiles(error, verify ?? [])
  })
  const { path, id, bytes, manifest, signature = null } = inspection
  printResult(describe(inspection), { path, id, bytes, signature, manifest }, json)
}

function describe({ path, id, bytes, manifest, signature }: Inspection): string {
  const { name, version, type, symbols, host, node, imports, code, map } = manifest
  const packages = Object.entries(host).map(([each, range]) => `${each} ${range}`)
  const rows: [string, string][] = [
    ['file', shownPath(path)],
    ['type', type ?? 'none'],
    ['size', `${bytes} bytes, ${code.bytes} of them code`],
    ['digest', id],
    ['code', code.sha256],
    ['source map', map ? map.sha256 : 'none'],
    ['symbols', list(symbols)],
    ['node', node],
    ['host', list(packages)],
    ['imports', list(imports)],
    [
      'signature',
      signature ? `key ${signature.keyId}, ${signature.verified ? 'verified' : 'not verified'}` : 'none',
    ],
  ]
  return [
    strong(`${name} ${version}`),
    ...rows.map(([label, text]) => label.padEnd(12) + printable(text)),
  ].join('\n')
}

function list(names: readonly string[]): string {
  return names.length > 0 ? names.join(', ') : 'none'
}
