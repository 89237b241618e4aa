/** What is sent and what comes back: the same object for every variant. */
export interface Payload {
  n: number
  readonly name: string
  readonly text: string
  readonly items?: readonly PayloadItem[] | undefined
}

export interface PayloadItem {
  readonly id: number
  readonly name: string
  readonly price: number
  readonly text: string
}

export interface AdapterOptions {
  /** How bodies are written, where the variant has a choice. @default json */
  readonly format?: 'json' | 'protobuf' | undefined
  /** Of a NATS server, for the variants that need one. */
  readonly nats?: string | undefined
  /** What one variant of this project has and another has not. @default none */
  readonly settings?: Readonly<Record<string, number>> | undefined
}

export interface ServeOptions extends AdapterOptions {
  /** What the endless stream is made of. */
  readonly message: Payload
  /** Called for each event that comes. */
  readonly received: () => void
}

/** One side that calls. What a variant has not got is not there. */
export interface Connection {
  /** Sends a value, and gives the one that comes back. */
  call?(value: Payload): Promise<Payload>
  /** An endless stream of messages; leaving the loop ends it. */
  stream?(): AsyncIterable<Payload>
  /** Tells subscribers. Where it gives a promise, the next one waits for it. */
  publish?(value: Payload): unknown
}

/** One way of calling another process; one file each. */
export interface Adapter {
  /** Serves on 127.0.0.1, until the process ends, and gives what `connect` needs. */
  serve(options: ServeOptions): Promise<string>
  connect(address: string, options: AdapterOptions): Promise<Connection>
}
