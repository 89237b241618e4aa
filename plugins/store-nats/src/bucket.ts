import { ServiceError } from '@micrograft/contracts'
import { isUnheard, jetStreamNumber, natsError, within, type NatsLink } from '@micrograft/nats-link'
import { Kvm, type Bucket as KvBucket, type KvOptions } from '@nats-io/kv'
import { createInbox, headers, type Msg, type MsgHdrs } from '@nats-io/transport-node'

/** A message of a bucket's stream, without its value where it was only looked for. */
export interface Found {
  readonly sequence: number
  readonly value: Uint8Array
  readonly expired: boolean
}

interface Api {
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string }
  readonly success?: boolean
  readonly purged?: number
  readonly seq?: number
  readonly name?: string
  readonly num_pending?: number
  readonly message?: { readonly seq: number; readonly data?: string; readonly hdrs?: string }
}

/** Keys that are asked for at a time. */
const pageSize = 1000
const nothing = new Uint8Array(0)
/** Header of an entry that expires: when, in milliseconds since 1970. */
const expiresHeader = 'Micrograft-Expires'
/** Header by which other clients of the bucket say that a key is gone. */
const operationHeader = 'KV-Operation'
/** JetStream's errors for a message that is not there: nats-server, `errors.json`. */
const goneNumbers: readonly number[] = [10_037, 10_043, 10_057]
/** The same for a stream. */
const streamGone = 10_059
/** There is one already, made with other options. */
const streamThere = 10_058

interface Place {
  readonly stream: string
  readonly direct: boolean
  /** Whether the stream keeps what an entry was before, as buckets of others may. */
  readonly history: boolean
}

/** A KV bucket: entries by their key as it was encoded. */
export class Bucket {
  readonly #link: NatsLink
  readonly #name: string
  readonly #options: Partial<KvOptions>
  #place: Place
  #restoring: Promise<void> | undefined

  private constructor(link: NatsLink, name: string, options: Partial<KvOptions>, place: Place) {
    this.#link = link
    this.#name = name
    this.#options = options
    this.#place = place
  }

  /** Opens it, made with `options` where it is not there yet. */
  static async open(
    link: NatsLink,
    name: string,
    options: Partial<KvOptions>,
    signal: AbortSignal,
  ): Promise<Bucket> {
    return new Bucket(link, name, options, await within(openBucket(link, name, options), signal))
  }

  async put(
    key: string,
    value: Uint8Array,
    expiresAt: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const header = expiresAt === undefined ? undefined : headers()
    header?.set(expiresHeader, String(expiresAt))
    const ask = (): Promise<Msg> => this.#link.request(this.#subject(key), value, { headers: header }, signal)
    const { seq } = await this.#inPlace(
      async () => this.#read((await ask()).data, `cannot set ${key}`),
      signal,
    )
    if (seq === undefined)
      throw new ServiceError('protocol', `who answers for ${key} is not the bucket’s stream`)
  }

  /** The last message of a key, unless it says that there is none. */
  find(key: string, signal: AbortSignal | undefined): Promise<Found | undefined> {
    const query = Buffer.from(JSON.stringify({ last_by_subj: this.#subject(key) }))
    return this.#inPlace(
      () =>
        this.#place.direct ? this.#findDirect(key, query, signal) : this.#findStored(key, query, signal),
      signal,
    )
  }

  async #findStored(
    key: string,
    query: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Found | undefined> {
    const { data } = await this.#link.request(this.#api('STREAM.MSG.GET'), query, {}, signal)
    const { message } = this.#read(data, `cannot get ${key}`, goneNumbers)
    if (!message) return undefined
    const { seq: sequence, data: value = '', hdrs = '' } = message
    const header = headerReader(Buffer.from(hdrs, 'base64').toString())
    if (header(operationHeader) !== '') return undefined
    return { sequence, value: Buffer.from(value, 'base64'), expired: hasExpired(header(expiresHeader)) }
  }

  /** Takes out just this message, with what the key was before; whether it was there still. Nothing stays of it, not even a marker. */
  async remove(key: string, sequence: number, signal?: AbortSignal): Promise<boolean> {
    const { history } = this.#place
    const query = history
      ? { filter: this.#subject(key), seq: sequence + 1 }
      : { seq: sequence, no_erase: true }
    const subject = this.#api(history ? 'STREAM.PURGE' : 'STREAM.MSG.DELETE')
    const { data } = await this.#link.request(subject, Buffer.from(JSON.stringify(query)), {}, signal)
    const { success, purged } = this.#read(data, 'cannot delete an entry', [...goneNumbers, streamGone])
    return success === true && purged !== 0
  }

  /** Tells of every key that matches `filter`, in no order, and perhaps of one twice. */
  async keys(
    filter: string,
    tell: (key: string, sequence: number, expired: boolean) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const consumer = await this.#readKeys(filter, signal)
    if (consumer === undefined) return
    const before = this.#subject('').length
    const take = (message: Msg): void => {
      const { subject, reply = '' } = message
      const header = headersOf(message)
      if ((header?.get(operationHeader) ?? '') !== '') return
      tell(subject.slice(before), ackToken(reply, 5), hasExpired(header?.get(expiresHeader) ?? ''))
    }
    try {
      while (await this.#readPage(consumer, take, signal));
    } finally {
      this.#link.request(`${this.#api('CONSUMER.DELETE')}.${consumer}`, nothing).catch(() => undefined)
    }
  }

  /** A consumer of the last messages of keys, without their values; the server forgets it by itself. */
  async #readKeys(filter: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const config = {
      ack_policy: 'none',
      deliver_policy: 'last_per_subject',
      filter_subject: this.#subject(filter),
      headers_only: true,
      inactive_threshold: 10e9,
      mem_storage: true,
      num_replicas: 1,
      replay_policy: 'instant',
    }
    const request = Buffer.from(JSON.stringify({ stream_name: this.#place.stream, config }))
    const ask = (): Promise<Msg> => this.#link.request(this.#api('CONSUMER.CREATE'), request, {}, signal)
    const { name, num_pending: pending } = await this.#inPlace(
      async () => this.#read((await ask()).data, 'cannot list keys'),
      signal,
    )
    return pending === 0 ? undefined : name
  }

  /** @returns whether there may be more. */
  async #readPage(
    consumer: string,
    take: (message: Msg) => void,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const inbox = createInbox()
    let count = 0
    let end!: (more: boolean) => void
    const over = new Promise<boolean>((resolve) => (end = resolve))
    const subscription = this.#link.subscribe(inbox, (message) => {
      // What comes by the inbox's name is the server's word that there is nothing more.
      if (message.subject === inbox) return end(false)
      take(message)
      if (ackToken(message.reply ?? '', 8) === 0) end(false)
      else if (++count === pageSize) end(true)
    })
    try {
      const request = JSON.stringify({ batch: pageSize, no_wait: true, expires: 1e9 })
      const subject = `${this.#api('CONSUMER.MSG.NEXT')}.${consumer}`
      const asked = this.#link.publish(subject, Buffer.from(request), { reply: inbox }, signal)
      return await within(this.#link.whileConnected(asked.then(() => over)), signal)
    } catch (error) {
      if (signal?.aborted) throw error
      throw natsError(error, `${this.#link.what} cannot list keys`)
    } finally {
      this.#link.unsubscribe(subscription)
    }
  }

  async #findDirect(
    key: string,
    query: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Found | undefined> {
    const message: Msg = await this.#link.request(this.#api('DIRECT.GET'), query, {}, signal)
    const header = headersOf(message)
    if (!header) return this.#findStored(key, query, signal)
    if (header.code === 404) return undefined
    const sequence = Number(header.get('Nats-Sequence'))
    if (header.code !== 0 || !Number.isSafeInteger(sequence)) {
      const told = header.description || 'its answer has no sequence'
      throw new ServiceError('unavailable', `${this.#link.what} cannot get ${key}: ${told}`)
    }
    if (header.get(operationHeader) !== '') return undefined
    return { sequence, value: message.data.slice(), expired: hasExpired(header.get(expiresHeader)) }
  }

  /** @param passed Numbers of errors that are an answer. */
  #read(data: Uint8Array, what: string, passed: readonly number[] = []): Api {
    let answer: Api
    try {
      answer = JSON.parse(Buffer.from(data).toString()) as Api
    } catch (cause) {
      throw new ServiceError('protocol', `${this.#link.what} ${what}: the answer is not JSON`, { cause })
    }
    const { error } = answer
    if (!error) return answer
    if (passed.includes(error.err_code)) return {}
    throw natsError(
      Object.assign(new Error(error.description), { apiError: () => error }),
      `${this.#link.what} ${what}`,
    )
  }

  /** Where the bucket is gone with all that it held, in memory or deleted by somebody, it is made again. */
  async #inPlace<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await work()
    } catch (error) {
      // A direct get of a stream that is gone is answered by nobody.
      if ((error as ServiceError).code === 'timeout') this.#restore().catch(() => undefined)
      if (!isUnheard(error) && jetStreamNumber(error) !== streamGone) throw error
    }
    await within(this.#restore(), signal)
    return work()
  }

  #restore(): Promise<void> {
    return (this.#restoring ??= openBucket(this.#link, this.#name, this.#options)
      .then((place) => void (this.#place = place))
      .finally(() => (this.#restoring = undefined)))
  }

  #subject(key: string): string {
    return `$KV.${this.#name}.${key}`
  }

  #api(method: string): string {
    return `$JS.API.${method}.${this.#place.stream}`
  }
}

async function openBucket(link: NatsLink, name: string, options: Partial<KvOptions>): Promise<Place> {
  const open = async (): Promise<Place> => {
    const { jsm, stream } = (await new Kvm(link.connection).create(name, { ...options })) as KvBucket
    const { config } = await jsm.streams.info(stream)
    // With copies on several servers one of them may be behind, and a get is to see each set before it.
    const direct = config.allow_direct && config.num_replicas === 1
    return { stream, direct, history: config.max_msgs_per_subject !== 1 }
  }
  try {
    return await link.whileConnected(
      open().catch((error: unknown) => {
        // Somebody else was making it at the same time.
        if (jetStreamNumber(error) === streamThere) return open()
        throw error
      }),
    )
  } catch (error) {
    throw natsError(error, `${link.what} cannot open the bucket ${name}`)
  }
}

/** What the client library does not read, such as a name with a space, is as if there were none. */
function headersOf(message: Msg): MsgHdrs | undefined {
  try {
    return message.headers
  } catch {
    return undefined
  }
}

/** A number in `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<its own>.<time>.<pending>`, or the same with domain and account before the stream (NATS ADR-15). */
function ackToken(reply: string, at: number): number {
  const tokens = reply.split('.')
  return Number(tokens[tokens.length > 9 ? at + 2 : at])
}

function hasExpired(at: string): boolean {
  return at !== '' && Number(at) <= Date.now()
}

/** Reads a block of headers, `NATS/1.0` and then a line each. */
function headerReader(block: string): (name: string) => string {
  const lines = block.split('\r\n')
  return (name) =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim() ?? ''
}
