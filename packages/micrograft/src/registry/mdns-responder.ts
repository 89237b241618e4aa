import type { RemoteInfo } from 'node:dgram'
import { dnsTypes, type DnsMessage } from './dns-message.js'
import type { MdnsMessages } from './mdns-messages.js'
import type { MdnsOwnNodes, OwnNode } from './mdns-own-nodes.js'
import {
  instanceRecords,
  listing,
  listingRecords,
  serviceName,
  serviceRecords,
  type MdnsEntry,
} from './mdns-records.js'

/** What the list of services says of its own time, in seconds. */
const listingTtlSeconds = 120

export interface MdnsResponderOptions {
  readonly messages: MdnsMessages
  readonly own: MdnsOwnNodes
  readonly domain: string
  readonly host: string
}

/** Tells the network of the nodes that a registry answers for. */
export class MdnsResponder {
  readonly #options: MdnsResponderOptions

  constructor(options: MdnsResponderOptions) {
    this.#options = options
  }

  /** Tells of a node, asked or not; with 0, that it is gone. @param ttl In seconds. */
  announce({ mdns }: OwnNode, ttl: number): Promise<void> {
    const { messages, domain } = this.#options
    return messages.tell(instanceRecords(mdns, domain, ttl))
  }

  /** Somebody took back what is still true: another registry of this node has been disposed. */
  rescue({ record, ttl }: MdnsEntry): void {
    const own = ttl === 0 ? this.#options.own.find(record.name, record.nodes[0].id) : undefined
    if (own) this.announce(own, own.ttlSeconds).catch(() => undefined)
  }

  /** Answers what was asked, with a message for each node. */
  reply({ id, questions }: DnsMessage, from: RemoteInfo): void {
    const { messages, own, domain, host } = this.#options
    for (const question of questions) {
      if (question.type !== dnsTypes.PTR && question.type !== dnsTypes.ANY) continue
      if (question.name === serviceName(listing, domain)) {
        for (const service of own.services())
          messages.answer(id, question, listingRecords(service, host, domain, listingTtlSeconds), from)
      }
      for (const service of own.services()) {
        if (question.name !== serviceName(service, domain)) continue
        for (const { mdns, ttlSeconds } of own.of(service))
          messages.answer(id, question, serviceRecords(mdns, domain, ttlSeconds), from)
      }
    }
  }
}
