import type { Timeline } from './latency.js'

const size = { width: 760, height: 300 }
const plot = { left: 56, right: 740, top: 56, bottom: 252 }
const windowMs = 100

const style = `
  .ground { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e } .rule { stroke: #d1d9e0 }
  .p50 { stroke: #0072b2 } .p99 { stroke: #d55e00 } .swap { stroke: #8b6bd9 } .mark { fill: #8b6bd9 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #f0f6fc } .faint { fill: #9198a1 } .rule { stroke: #3d444d }
    .p50 { stroke: #3b9bd6 } .p99 { stroke: #e8833a } .swap { stroke: #a98ff0 } .mark { fill: #a98ff0 }
  }
  text { font: 12px system-ui, sans-serif } .title { font-size: 15px; font-weight: 600 }
  path { fill: none; stroke-width: 1.75; stroke-linejoin: round }
`

/** p50 and p99 of each tenth of a second, with a line where a swap was asked for, as an SVG that reads well on light and on dark pages. */
export function timelineChart({ began, ms, swaps }: Timeline): string {
  const windows = new Map<number, number[]>()
  for (const [i, at] of began.entries()) {
    const window = Math.floor(at / windowMs)
    const held = windows.get(window)
    if (held) held.push(ms[i] as number)
    else windows.set(window, [ms[i] as number])
  }
  const points = [...windows]
    .sort(([a], [b]) => a - b)
    .map(([window, all]) => {
      all.sort((a, b) => a - b)
      const at = (share: number) => all[Math.floor(all.length * share)] as number
      return { seconds: (window * windowMs) / 1000, p50: at(0.5), p99: at(0.99) }
    })
  const last = Math.max(1, Math.ceil(points.at(-1)?.seconds ?? 1))
  const top = nice(Math.max(...points.map(({ p99 }) => p99), 1))
  const x = (seconds: number) => round(plot.left + (seconds / last) * (plot.right - plot.left))
  const y = (value: number) => round(plot.bottom - (value / top) * (plot.bottom - plot.top))
  const path = (pick: (point: { p50: number; p99: number }) => number) =>
    points.map((point, i) => `${i === 0 ? 'M' : 'L'}${x(point.seconds)} ${y(pick(point))}`).join('')
  const rules = [0, 0.25, 0.5, 0.75, 1].map((share) => share * top)
  const ticks = Array.from({ length: Math.floor(last / 2) + 1 }, (_, i) => i * 2)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="Latency over time, with the swaps marked">
<style>${style}</style>
<rect class="ground" width="${size.width}" height="${size.height}" rx="6"/>
<text class="text title" x="16" y="26">Latency of calls while the handlers are swapped</text>
<text class="faint" x="16" y="44">ms; p50 (blue) and p99 (orange) of each 100 ms; a purple line is a swap, every other one to a plugin of 190 KB</text>
${rules.map((rule) => `<line class="rule" x1="${plot.left}" x2="${plot.right}" y1="${y(rule)}" y2="${y(rule)}"/><text class="faint" x="${plot.left - 8}" y="${y(rule) + 4}" text-anchor="end">${Number(rule.toPrecision(3))}</text>`).join('\n')}
${swaps.map((at) => `<line class="swap" x1="${x(at / 1000)}" x2="${x(at / 1000)}" y1="${plot.top}" y2="${plot.bottom}" stroke-width="1.5" stroke-dasharray="3 3"/>`).join('\n')}
<path class="p50" d="${path(({ p50 }) => p50)}"/>
<path class="p99" d="${path(({ p99 }) => p99)}"/>
${ticks.map((tick) => `<text class="faint" x="${x(tick)}" y="${plot.bottom + 20}" text-anchor="middle">${tick} s</text>`).join('\n')}
</svg>
`
}

function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return (([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) as number) ?? 10) * power
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
