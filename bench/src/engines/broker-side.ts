/** One way of publishing and subscribing. */
export interface BrokerSide {
  /** Resolves when the server has the message. */
  publish(body: Uint8Array): Promise<unknown>
  /** Takes each message once, 64 at a time, and acknowledges it where the engine has that. */
  subscribe(take: () => void): Promise<void>
}

/** Each process has one of its own: what an earlier one left does not come to it. */
export const topic: string = `news-${process.pid}`
export const queue = 'workers'
export const concurrency = 64
