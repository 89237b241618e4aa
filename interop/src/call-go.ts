import { errorCodes, ServiceError } from '@micrograft/contracts'
import type { RequestOptions, Service } from 'micrograft'
import type { CaseResult, ContentType } from './cells.js'
import { deadlineMs, type Results } from './judge.js'
import { read, write, type Message } from './message.js'

/** Calls a service of go-micro in every way, as its client does a service of this side. */
export async function callGo({ client }: Service, service: string, type: ContentType): Promise<Results> {
  const options: RequestOptions = { contentType: type, timeoutMs: 4000, retries: 0 }
  const call = async (endpoint: string, name: string, more: RequestOptions = {}) => [
    read(await client.call<Message>(service, endpoint, write(name, type), { ...options, ...more })),
  ]
  const count = async () => {
    const got: string[] = []
    for await (const each of client.stream<Message>(service, 'Say.Count', write('5', type), options))
      got.push(read(each))
    return got
  }
  const echo = async () => {
    await using stream = client.open<Message, Message>(service, 'Say.Echo', options)
    const replies = stream[Symbol.asyncIterator]()
    const got: string[] = []
    for (const name of ['a', 'b', 'c']) {
      await stream.send(write(name, type))
      const { value, done } = await replies.next()
      if (!done) got.push(read(value))
    }
    return got
  }
  const cases: Readonly<Record<string, () => Promise<readonly string[]>>> = {
    unary: () => call('Say.Hello', 'Jörg <&>'),
    error: () => call('Say.Fail', 'name'),
    metadata: () => call('Say.Meta', '', { metadata: { 'x-tenant': 'acme 42' } }),
    left: () => call('Say.Left', ''),
    deadline: () => call('Say.Wait', '', { timeoutMs: deadlineMs }),
    'server stream': count,
    'two-way stream': echo,
  }
  const results = new Map<string, CaseResult>()
  for (const [name, run] of Object.entries(cases)) results.set(name, await resultOf(run))
  return results
}

async function resultOf(run: () => Promise<readonly string[]>): Promise<CaseResult> {
  const started = performance.now()
  const ms = () => Math.round(performance.now() - started)
  try {
    return { got: await run(), error: undefined, ms: ms() }
  } catch (error) {
    const { id, code, message } = ServiceError.from(error)
    return { got: [], error: { id, code: errorCodes[code].status, detail: message }, ms: ms() }
  }
}
