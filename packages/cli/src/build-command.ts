import { statSync } from 'node:fs'
import { sep } from 'node:path'
import { build, type BuildOptions } from '@micrograft/plugin/build'
import type { Command } from 'commander'
import { BuildReport } from './build-report.js'
import { readKeyFile } from './key-file.js'
import { buildUntilStopped } from './build-until-stopped.js'

export interface BuildFlags {
  readonly out?: string
  readonly name?: string
  readonly version?: string
  readonly type?: string
  readonly external?: readonly string[]
  readonly node?: string
  readonly minify?: boolean
  readonly sourceMap: boolean
  readonly sign?: string
  readonly watch?: boolean
  readonly json?: boolean
}

export function addBuildCommand(program: Command): void {
  program
    .command('build')
    .summary('build plugin files from TypeScript or JavaScript')
    .description(
      'Builds each entry, a TypeScript or JavaScript module, into one plugin file with all that it imports.',
    )
    .argument('<entry...>', 'the modules whose exports are the symbols, one plugin each')
    .option(
      '-o, --out <path>',
      'the file to write, or the folder: with / at its end, where it is one, and for several entries (default: the working directory)',
    )
    .option('--name <name>', "the plugin's name (default: that of the entry, or of its package)")
    .option('--version <version>', 'its semantic version (default: that of its package)')
    .option('--type <type>', 'what it is for, where hosts tell types apart (default: none)')
    .option('--external <package...>', 'packages that the host brings')
    .option('--node <range>', 'versions of Node that it runs on (default: ">=20.19")')
    .option('--minify', 'shorten the code')
    .option('--no-source-map', 'write no source map')
    .option('--sign <keyfile>', 'sign with a private key, made by micrograft keygen')
    .option('--watch', 'build again after each change, until stopped')
    .option('--json', 'print one line of JSON for each file')
    .helpOption('-h, --help', 'print this')
    .action(buildEntries)
}

async function buildEntries(entries: readonly string[], flags: BuildFlags, command: Command): Promise<void> {
  if (flags.name !== undefined && entries.length > 1)
    command.error(`--name is for one entry and there are ${entries.length}; build them one by one`)
  const options = await optionsOf(flags, entries.length > 1)
  const report = new BuildReport(flags)
  if (flags.watch) return buildUntilStopped(entries, options, report)

  // One after another, so that each takes the time that is printed. One that is refused stops none.
  for (const entry of entries) {
    const started = performance.now()
    try {
      const built = await build(entry, options)
      report.built(entry, built, performance.now() - started)
    } catch (error) {
      report.refused(error)
    }
  }
  if (report.anyRefused) process.exitCode = 1
}

async function optionsOf(flags: BuildFlags, severalEntries: boolean): Promise<BuildOptions> {
  const { out, name, version, type, external, node, minify, sourceMap, sign } = flags
  const target = out === undefined ? {} : severalEntries || isFolder(out) ? { outDir: out } : { outFile: out }
  const signKey = sign === undefined ? undefined : await readKeyFile(sign)
  return { ...target, name, version, type, external, node, minify, sourceMap, signKey }
}

/** What cannot be looked at is left to the builder, which says why it cannot write there. */
function isFolder(path: string): boolean {
  if (path.endsWith('/') || path.endsWith(sep)) return true
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
