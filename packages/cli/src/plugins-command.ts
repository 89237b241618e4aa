import type { Command } from 'commander'
import type { AdminSlots, SlotReport } from 'micrograft'
import { askNodes, nodesHelp, type NodeFlags } from './ask-nodes.js'
import { printable, printResult, strong } from './output.js'

export function addPluginsCommand(program: Command): void {
  program
    .command('plugins')
    .summary('show what a running service is made of')
    .description(
      'Shows the component in each slot of a running service, what it could go back to, and its plugin files.',
    )
    .argument('<service>', 'its name')
    .option('--node <id>', 'only this node')
    .option('--json', 'print one line of JSON')
    .helpOption('-h, --help', 'print this')
    .addHelpText('after', nodesHelp)
    .action(showPlugins)
}

async function showPlugins(service: string, flags: NodeFlags): Promise<void> {
  const answers = await askNodes(service, flags, (client) => client.ask<AdminSlots>({ do: 'slots' }))
  const nodes = answers.map(({ node: { node, pid }, answer }) => Object.assign(answer, { node, pid }))
  const text = nodes.map(({ node, pid, slots, plugins }) =>
    [
      strong(`${printable(node)} (process ${pid})`),
      table(slots.map(row)),
      ...plugins.map(({ name, version, path }) => `  ${name} ${version}  ${printable(path)}`),
    ].join('\n'),
  )
  printResult(text.join('\n\n'), nodes, flags.json ?? false)
}

function row({ slot, current, previous, next, share, active, tallies = {} }: SlotReport): readonly string[] {
  const state =
    next === undefined || next === current
      ? previous === undefined
        ? ''
        : `before: ${previous}`
      : `${Math.round((share ?? 0) * 100)} % of calls to ${next}`
  const seen = Object.entries(tallies).map(
    ([label, { calls, errors, p50Ms, p99Ms }]) =>
      `${label}: ${calls} calls, ${errors} errors, p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
  )
  return [slot, current, active > 0 ? `${active} active` : '', [state, ...seen].filter(Boolean).join('; ')]
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => (cells[column] as string).length)))
  return rows
    .map((cells) =>
      `  ${cells.map((cell, column) => printable(cell).padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
    )
    .join('\n')
}
