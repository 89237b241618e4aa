import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  type DnsRecord,
} from '../../dist/registry/dns-message.js'

/** A name server on a UDP port of the loopback interface, and what it answers from. */
export interface DnsServer extends AsyncDisposable {
  readonly address: string
  /** Changed at will. */
  readonly records: DnsRecord[]
  /** How it answers: `fail` refuses, `silent` does not. */
  mode: 'answer' | 'fail' | 'silent'
  /** Whether it fails when it is asked for addresses of IPv6. */
  failsForIPv6: boolean
  asked: number
}

export async function openDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    records: [],
    mode: 'answer',
    failsForIPv6: false,
    asked: 0,
    async [Symbol.asyncDispose]() {
      socket.close()
    },
  }
  socket.on('message', (bytes, from) => {
    server.asked++
    if (server.mode === 'silent') return
    const { id, questions } = decodeDnsMessage(bytes)
    const [question] = questions
    const named = server.records.filter(({ name }) => name.toLowerCase() === question?.name.toLowerCase())
    const answers = named.filter(({ type }) => dnsTypes[type] === question?.type)
    // Response, recursion available; 3 is "no such name", 2 is "server failure".
    const fails = server.mode === 'fail' || (server.failsForIPv6 && question?.type === dnsTypes.AAAA)
    const code = fails ? 2 : named.length === 0 ? 3 : 0
    socket.send(
      encodeDnsMessage({ id, flags: 0x8180 | code, questions, answers: code ? [] : answers }, true),
      from.port,
      from.address,
    )
  })
  return server
}
