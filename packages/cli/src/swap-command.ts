import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { AdminAsk, AdminEvent, ComponentType, SwapReport } from 'micrograft'
import { askNodes, nodesHelp, type NodeFlags } from './ask-nodes.js'
import { printable, printResult } from './output.js'

interface SwapFlags extends NodeFlags {
  readonly share?: number
  readonly watch?: number
  readonly drain?: number
  readonly maxErrors?: number
  readonly replace?: string
  readonly options?: object
}

const json = () => new Option('--json', 'print events and the result as lines of JSON')

export function addSwapCommands(program: Command): void {
  program
    .command('swap')
    .summary('swap a part of a running service')
    .description('Puts another component into the place of one in a running service, while its calls go on.')
    .argument('<service>', 'its name')
    .argument('<type>', 'client, server, broker, handler …')
    .argument('<target>', 'name of a component that the service knows, or a plugin file')
    .option('--share <part>', 'give it only a part of the calls, e.g. 5%', part)
    .option('--watch <time>', 'how long the old one is kept ready, e.g. 30s (3s)', duration)
    .option('--drain <time>', 'how long calls on the old one may take to end (10s)', duration)
    .option('--max-errors <part>', 'part of calls that may fail before they go back (10%)', part)
    .option('--replace <name>', 'which codec, middleware or handlers; those of the same name otherwise')
    .option('--options <json>', 'options of the component, as a JSON object', jsonObject)
    .option('--node <id>', 'only this node')
    .addOption(json())
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', nodesHelp)
    .action(swap)
  program
    .command('share')
    .summary('give a component that shares calls another part of them')
    .description('Gives a component that was swapped in with --share another part of the calls; 100% is all.')
    .argument('<service>', 'its name')
    .argument('<type>', 'client, handler …')
    .argument('<part>', 'e.g. 50%', part)
    .option('--name <name>', 'which handlers, where there are several')
    .option('--node <id>', 'only this node')
    .addOption(json())
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', nodesHelp)
    .action((service: string, type: ComponentType, share: number, flags: NodeFlags & { name?: string }) =>
      report(service, flags, { do: 'share', type, share, name: flags.name }),
    )
  program
    .command('rollback')
    .summary('undo the last swap of a part of a running service')
    .description('Goes back to the component that was there before the last swap.')
    .argument('<service>', 'its name')
    .argument('<type>', 'client, server, broker, handler …')
    .option('--name <name>', 'which codec, middleware or handlers')
    .option('--node <id>', 'only this node')
    .addOption(json())
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', nodesHelp)
    .action((service: string, type: ComponentType, flags: NodeFlags & { name?: string }) =>
      report(service, flags, { do: 'rollback', type, name: flags.name, by: user() }),
    )
}

async function swap(service: string, type: ComponentType, target: string, flags: SwapFlags): Promise<void> {
  const { share, watch, drain, maxErrors, replace, options } = flags
  const isFile = /[/\\]|\.plugin\.cjs$/.test(target)
  await report(service, flags, {
    do: 'swap',
    type,
    target: isFile ? resolve(target) : target,
    options: {
      by: user(),
      ...(share === undefined ? {} : { share }),
      ...(watch === undefined ? {} : { watchMs: watch }),
      ...(drain === undefined ? {} : { drainMs: drain }),
      ...(maxErrors === undefined ? {} : { maxErrorRate: maxErrors }),
      ...(replace === undefined ? {} : { replace }),
      ...(options === undefined ? {} : { options }),
    },
  })
}

async function report(service: string, flags: NodeFlags, request: AdminAsk): Promise<void> {
  const asJson = flags.json ?? false
  const tell = (event: AdminEvent) => printResult(eventLine(event), event, asJson)
  const answers = await askNodes(service, flags, (client) => client.ask<SwapReport>(request), tell)
  for (const { node, answer } of answers)
    printResult(resultLine(node.node, answer), { node: node.node, ...answer }, asJson)
}

function eventLine({ phase, slot, from, to, active, share, error }: AdminEvent): string {
  const what = {
    preparing: `preparing ${to} beside ${from}`,
    sharing: `${Math.round(share * 100)} % of calls go to ${to}`,
    switched: `calls go to ${to}`,
    draining: `draining ${from}: ${active} active`,
    done: `${from} is gone`,
    failed: `${from} still serves: ${error?.message}`,
    'went-back': `calls went back to ${from}: ${error?.message}`,
  }[phase]
  return printable(`${slot}: ${what}`)
}

function resultLine(node: string, { from, to, outcome, drained, durationMs }: SwapReport): string {
  const ms = `${Math.round(durationMs)} ms`
  if (outcome === 'sharing') return `${node}: ${to} shares the calls of ${from} (${ms})`
  return `${node}: ${from} → ${to} in ${ms}${drained ? '' : ', with calls cut at the drain deadline'}`
}

/** Who asks, for the service's log. A container's user need not have a name. */
function user(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.()}`
  }
}

function part(text: string): number {
  const [, number, percent] = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text) ?? []
  const value = Number(number) / (percent === '%' ? 100 : 1)
  if (value <= 1) return value
  throw new InvalidArgumentError('write a part as 5% or 0.05')
}

function duration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  if (number !== undefined) return Number(number) * { ms: 1, s: 1000, m: 60_000 }[unit as 's']
  throw new InvalidArgumentError('write a time as 500ms, 3s or 1m')
}

function jsonObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError('write a JSON object')
}
