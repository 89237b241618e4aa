import { contentTypes, features, isExpected, protocols, type Cell, type Checked } from './cells.js'
import type { Release } from './programs.js'

/** Reasons, each with the number that cells name it by. */
class Notes {
  readonly #reasons: string[] = []

  no(reason: string): string {
    let at = this.#reasons.indexOf(reason)
    if (at === -1) at = this.#reasons.push(reason) - 1
    return `no [${at + 1}]`
  }

  get text(): string {
    return this.#reasons.map((reason, at) => `[${at + 1}] ${reason}.\n`).join('\n')
  }
}

/** The whole matrix in Markdown: calls and messages, each both ways, and the reasons. */
export function tables(releases: readonly Release[], checked: readonly Checked[]): string {
  const notes = new Notes()
  const isEvent = ({ cell }: Checked) => cell.feature === 'event'
  const calls = checked.filter((each) => !isEvent(each))
  const events = checked.filter(isEvent)
  const kinds = features.filter((each) => each !== 'event')
  const brokers = [...new Set(events.map(({ cell }) => brokerOf(cell)))]
  const parts = (['node', 'go'] as const).flatMap((from) => {
    const way = from === 'node' ? 'from Node to go-micro' : 'from go-micro to Node'
    const ours = ({ cell }: Checked) => cell.from === from
    return [
      `### Calls ${way}\n`,
      table(releases, kinds, calls.filter(ours), ({ feature }) => feature, notes),
      `### Messages ${way}\n`,
      table(releases, brokers, events.filter(ours), brokerOf, notes),
    ]
  })
  return [...parts, notes.text].join('\n')
}

function brokerOf({ registry, broker }: Cell): string {
  return broker === 'http' ? `http broker, ${registry}` : `${broker} broker`
}

function table(
  releases: readonly Release[],
  headings: readonly string[],
  checked: readonly Checked[],
  headingOf: (cell: Cell) => string,
  notes: Notes,
): string {
  const lines = [
    row(['go-micro', 'protocol', 'body', ...headings]),
    row([...headings, '', '', ''].map(() => '---')),
  ]
  for (const { version, release, programs } of releases) {
    if ('whyNone' in programs) {
      lines.push(row([release, '', '', ...headings.map(() => notes.no(programs.whyNone))]))
      continue
    }
    for (const protocol of protocols) {
      for (const type of contentTypes) {
        const ours = checked.filter(
          ({ cell }) => cell.version === version && cell.protocol === protocol && cell.type === type,
        )
        const cells = headings.map((heading) =>
          cellOf(
            ours.filter(({ cell }) => headingOf(cell) === heading),
            notes,
          ),
        )
        lines.push(row([release, protocol, type === 'application/json' ? 'JSON' : 'protobuf', ...cells]))
      }
    }
  }
  return `${lines.join('\n')}\n`
}

/** What the tries of one cell came to: one word where all came to the same, else where it came to something else. */
function cellOf(tries: readonly Checked[], notes: Notes): string {
  const places = new Map<string, string[]>()
  for (const each of tries) {
    const text = !isExpected(each) ? 'FAILED' : each.limit === undefined ? 'yes' : notes.no(each.limit)
    places.set(text, [...(places.get(text) ?? []), each.cell.registry])
  }
  const [first, ...others] = [...places].sort(([, a], [, b]) => b.length - a.length)
  if (!first) return 'not tried'
  return [first[0], ...others.map(([text, registries]) => `${registries.join(', ')}: ${text}`)].join('; ')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
