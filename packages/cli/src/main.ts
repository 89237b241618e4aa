import { readFileSync } from 'node:fs'
import { PluginError } from '@micrograft/plugin'
import { Command } from 'commander'
import { addBuildCommand } from './build-command.js'
import { addCallCommand } from './call-command.js'
import { addDescribeCommand } from './describe-command.js'
import { failureOf, refusalOf } from './failure.js'
import { addInspectCommand } from './inspect-command.js'
import { addKeygenCommand } from './keygen-command.js'
import { printError } from './output.js'
import { addPluginsCommand } from './plugins-command.js'
import { addRunCommand } from './run-command.js'
import { addServicesCommand } from './services-command.js'
import { addSwapCommands } from './swap-command.js'

const examples = `
Examples:
  micrograft build hello.ts -o plugins/                    plugins/hello-<version>.plugin.cjs
  micrograft build hello.ts -o hello.plugin.cjs --version 1.2.0
  micrograft build plugins/*.ts -o out/ --watch            again after each change
  micrograft inspect hello.plugin.cjs --json               what a file says of itself; nothing in it runs
  micrograft keygen -o release                             release.key and release.pub
  micrograft build hello.ts --sign release.key
  micrograft inspect hello.plugin.cjs --verify release.pub
  micrograft run greeter.plugin.cjs                        a service from a plugin file of type handler
  micrograft call greeter Say.Hello '{"name":"John"}'
  micrograft swap greeter handler greeter_v2.plugin.cjs    another version takes over, and no call is lost
  micrograft rollback greeter handler

Exit status: 0 done, 1 refused, 2 wrong usage. Each error ends with its code in brackets.`

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('micrograft')
  .description('Builds, inspects and signs plugin files, and runs, calls and updates services.')
  .usage('<command> [options]')
  .version(version, '-V, --version', 'print the version of this command')
  .helpOption('-h, --help', 'print this')
  // `--version` after a command is that command's own.
  .enablePositionalOptions()
  .exitOverride()
  // Errors are printed below, where those that are no wrong usage are printed too.
  .configureOutput({ outputError: () => undefined })
  .addHelpText('after', examples)

addBuildCommand(program)
addInspectCommand(program)
addKeygenCommand(program)
addRunCommand(program)
addServicesCommand(program)
addDescribeCommand(program)
addCallCommand(program)
addPluginsCommand(program)
addSwapCommands(program)

let read = true
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') {
    // Whoever reads the output may have read enough, as `head` does. What goes on until it is stopped is stopped.
    if (read && !process.emit('SIGTERM', 'SIGTERM')) process.exit()
    read = false
    return
  }
  const failure = refusalOf(new PluginError('write-failed', `cannot write to standard output: ${message}`))
  printError(failure, process.argv.includes('--json'))
  process.exit(failure.status)
})
// Where errors cannot be told, the exit status still tells that there was one.
process.stderr.on('error', () => undefined)

program.parseAsync().catch((error: unknown) => {
  const failure = failureOf(error, program)
  // Before the command line is understood its options are not known yet.
  if (failure.message !== '') printError(failure, process.argv.includes('--json'))
  process.exitCode = failure.status
})
