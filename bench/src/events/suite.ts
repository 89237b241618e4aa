import { spread, table } from '../markdown.js'
import { payloadOf } from '../pairs/payloads.js'
import { measurePairs } from '../pairs/rounds.js'
import * as all from '../pairs/variants.js'
import { sectioned, type Run, type Section } from '../sections.js'
import { figure, ratio } from '../statistics.js'
import type { Suite } from '../suite.js'

const compared = [
  all.micrograft,
  all.micrograftNats,
  all.net,
  all.joined,
  all.nest,
  all.moleculerTcp,
  all.moleculerNats,
]

export const eventsSuite: Suite = sectioned({
  name: 'events',
  title: 'Events between processes',
  about: 'events per second from a publisher to a subscriber',
  peers: true,
  parts: { remote: measureEvents },
})

async function measureEvents(run: Run): Promise<Section> {
  const variants = run.possible(compared)
  run.say('remote: events per second')
  const payload = payloadOf(100)
  const measured = await measurePairs(run, variants, async (pair) => {
    await pair.events(payload, run.warmUpMs)
    const { events, ms } = await pair.events(payload, run.quick ? run.ms * 4 : run.ms)
    return (events / ms) * 1000
  })
  const rates = (key: string) => (measured[key] ?? []).map(({ value }) => value)
  const rows = variants.map(({ key, label }) => ({
    key,
    label,
    perSecond: figure(rates(key)),
    ours: ratio(rates('micrograft'), rates(key)),
    oursByNats: measured['micrograft-nats'] ? ratio(rates('micrograft-nats'), rates(key)) : undefined,
  }))
  return {
    data: rows,
    markdown: `## Events per second

Records of 100 bytes as JSON, by 64 loops that publish one after another, each waiting for what publishing gives it to wait for, to one subscriber in another process. What has come is counted, not what was sent; no more than 4,000 are on their way.

${table(
  ['', 'events/s', 'micrograft ÷ this', 'micrograft, NATS ÷ this'],
  rows.map(({ label, perSecond, ours, oursByNats }) => [
    label,
    spread(perSecond),
    spread(ours),
    oursByNats ? spread(oursByNats) : '',
  ]),
)}
`,
  }
}
