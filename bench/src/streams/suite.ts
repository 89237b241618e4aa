import { number, spread, table } from '../markdown.js'
import { payloadOf } from '../pairs/payloads.js'
import { measurePairs } from '../pairs/rounds.js'
import * as all from '../pairs/variants.js'
import { sectioned, type Run, type Section } from '../sections.js'
import { figure, ratio } from '../statistics.js'
import type { Suite } from '../suite.js'

const compared = [
  all.micrograft,
  all.net,
  all.joined,
  all.nest,
  all.moleculerTcp,
  all.grpc,
  all.connectHttp1,
  all.connectHttp2,
]

export const streamsSuite: Suite = sectioned({
  name: 'streams',
  title: 'Streams between processes',
  about: 'messages per second of a stream, and memory with a slow reader',
  peers: true,
  parts: { fast: measureFast, slow: measureSlow },
})

/** One endless stream of small messages, read as fast as it comes. */
async function measureFast(run: Run): Promise<Section> {
  const variants = run.possible(compared)
  run.say('fast: messages per second')
  const measured = await measurePairs(
    run,
    variants,
    async (pair) => {
      // One stream: a peer that cannot end one would go on writing beside the next.
      const { messages, ms } = await pair.stream(run.ms, { warmUpMs: run.warmUpMs })
      return (messages / ms) * 1000
    },
    payloadOf(100),
  )
  const rates = (key: string) => (measured[key] ?? []).map(({ value }) => value)
  const rows = variants.map(({ key, label }) => ({
    key,
    label,
    perSecond: figure(rates(key)),
    ours: ratio(rates('micrograft'), rates(key)),
  }))
  return {
    data: rows,
    markdown: `## Messages per second

One stream from the server to the client, of records of 100 bytes as JSON, without an end; the client leaves it when the time is over.

${table(
  ['', 'messages/s', 'micrograft ÷ this'],
  rows.map(({ label, perSecond, ours }) => [label, spread(perSecond), spread(ours)]),
)}
`,
  }
}

const slowBytes = 10_000
const slowPauseMs = 10

/** A reader that is much slower than its writer: who holds the writer back, and who keeps what nobody reads. */
async function measureSlow(run: Run): Promise<Section> {
  const variants = run.possible(compared)
  run.say('slow: memory with a slow reader')
  const ms = run.quick ? 100 : run.ms * 2
  const measured = await measurePairs(
    run,
    variants,
    async (pair, { key }) => {
      try {
        const { messages } = await pair.stream(ms, { pauseMs: slowPauseMs })
        return messages
      } catch (error) {
        if (key === 'micrograft') throw error
        // What some do to a slow reader is to end its connection.
        return undefined
      }
    },
    payloadOf(slowBytes),
  )
  const rows = variants.map(({ key, label }) => {
    const grown = (side: 'client' | 'server') => {
      const each = (measured[key] ?? []).map(({ idle, end }) => {
        const [before, after] = [idle[side], end[side]]
        return before && after ? (after.peakBytes - before.rssBytes) / 1e6 : undefined
      })
      return each.every((value) => value !== undefined) ? figure(each) : undefined
    }
    const messages = (measured[key] ?? []).map(({ value }) => value)
    return {
      key,
      label,
      messages: messages.every((each) => each !== undefined) ? figure(messages) : undefined,
      serverMB: grown('server'),
      clientMB: grown('client'),
    }
  })
  return {
    data: rows,
    markdown: `## Memory with a slow reader

The same stream with records of 10 KB, whose reader waits ${slowPauseMs} ms after each, for ${number(ms / 1000)} s: by how many MB resident memory grows at the most, from before the stream. What holds its writer back stays where it was. Where no number of messages stands, the peer ended the connection of its slow reader.

${table(
  ['', 'server', 'client', 'messages read'],
  rows.map(({ label, serverMB, clientMB, messages }) => [
    label,
    serverMB ? spread(serverMB) : '',
    clientMB ? spread(clientMB) : '',
    messages ? number(messages.median) : 'connection ended',
  ]),
)}
`,
  }
}
