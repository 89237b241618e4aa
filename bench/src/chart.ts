/** One line of a chart. */
export interface Series {
  readonly label: string
  /** In the order of x. */
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Drawn over the others, and thicker. */
  readonly main?: boolean | undefined
}

export interface Chart {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly series: readonly Series[]
  /** @default linear, from 0 */
  readonly logY?: boolean | undefined
}

const width = 760
const height = 400
const plot = { left: 64, right: 560, top: 52, bottom: 344 }
/** Told apart on light and on dark ground, and by who sees few colours: Okabe and Ito's, somewhat changed. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#b8860b', '#c2569a', '#3b9bd6', '#8b6bd9', '#7a7a7a']

const style = `
  .ground { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .rule { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #f0f6fc } .faint { fill: #9198a1 } .rule { stroke: #3d444d }
  }
  text { font: 12px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 }
  .main { font-weight: 600 }
`

/** Lines over a logarithmic x, each with its name at its end, as an SVG that reads well on light and on dark pages. */
export function lineChart({ title, x, y, series, logY = false }: Chart): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b)
  const ys = series.flatMap(({ points }) => points.map(([, at]) => at))
  const across = scale(xs[0] as number, xs.at(-1) as number, plot.left, plot.right, true)
  const ticks = logY ? powers(Math.min(...ys), Math.max(...ys)) : steps(Math.max(...ys))
  const up = scale(ticks[0] as number, ticks.at(-1) as number, plot.bottom, plot.top, logY)
  const lines = series.map((each, i) => {
    const points = each.points.map(([a, b]) => `${round(across(a))},${round(up(b))}`)
    return {
      ...each,
      points,
      end: up(each.points.at(-1)?.[1] as number),
      colour: colours[i % colours.length] as string,
    }
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">
<style>${style}</style>
<rect class="ground" width="${width}" height="${height}" rx="6"/>
<text class="text title" x="16" y="26">${escape(title)}</text>
<text class="faint" x="16" y="44">${escape(y)}</text>
${ticks.map((tick) => `<line class="rule" x1="${plot.left}" x2="${plot.right}" y1="${round(up(tick))}" y2="${round(up(tick))}"/><text class="faint" x="${plot.left - 8}" y="${round(up(tick)) + 4}" text-anchor="end">${short(tick)}</text>`).join('\n')}
${xs.map((tick) => `<text class="faint" x="${round(across(tick))}" y="${plot.bottom + 20}" text-anchor="middle">${short(tick)}</text>`).join('\n')}
<text class="faint" x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 42}" text-anchor="middle">${escape(x)}</text>
${lines
  .toSorted((a, b) => Number(a.main ?? false) - Number(b.main ?? false))
  .map(({ points, colour, main }) => line(points, colour, main))
  .join('\n')}
${labels(lines)}
</svg>
`
}

function line(points: readonly string[], colour: string, main = false): string {
  const dots = points.map(
    (at) =>
      `<circle cx="${at.split(',')[0]}" cy="${at.split(',')[1]}" r="${main ? 3.5 : 2.5}" fill="${colour}"/>`,
  )
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="${main ? 3 : 1.75}" stroke-linejoin="round"/>${dots.join('')}`
}

interface Line extends Omit<Series, 'points'> {
  readonly end: number
  readonly colour: string
}

/** Names at the ends of the lines, moved apart where those are near each other. */
function labels(lines: readonly Line[]): string {
  const gap = 17
  const sorted = [...lines].sort((a, b) => a.end - b.end)
  let last = plot.top - gap
  const placed = sorted.map((line) => ({ line, at: (last = Math.max(line.end, last + gap)) }))
  let most = plot.bottom
  for (const each of [...placed].reverse()) {
    each.at = Math.min(each.at, most)
    most = each.at - gap
  }
  return placed
    .map(
      ({ line: { label, end, colour, main }, at }) =>
        `<path d="M${plot.right + 4} ${round(end)}L${plot.right + 14} ${round(at)}" stroke="${colour}" fill="none"/><text class="text${main ? ' main' : ''}" x="${plot.right + 18}" y="${round(at) + 4}">${escape(label)}</text>`,
    )
    .join('\n')
}

function scale(
  from: number,
  to: number,
  start: number,
  end: number,
  log: boolean,
): (value: number) => number {
  const of = log ? Math.log10 : (value: number) => value
  const span = of(to) - of(from) || 1
  return (value) => start + ((of(value) - of(from)) / span) * (end - start)
}

/** 0 and four or five round steps above it. */
function steps(most: number): number[] {
  const rough = most / 4
  const size = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((each) => each * size >= rough) as number) * size
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}

/** Powers of ten from below the least to above the most. */
function powers(least: number, most: number): number[] {
  const first = Math.floor(Math.log10(least))
  const last = Math.max(first + 1, Math.ceil(Math.log10(most)))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

function short(value: number): string {
  if (value >= 1_000_000) return `${Number((value / 1_000_000).toPrecision(3))} M`
  if (value >= 1000) return `${Number((value / 1000).toPrecision(3))} k`
  return String(Number(value.toPrecision(3)))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`)
}
