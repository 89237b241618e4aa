import { ServiceError } from '@micrograft/contracts'
import { createInbox } from '@nats-io/transport-node'

/** Where a listener greets peers of Micrograft, beside its own subject. */
export function greetingSubject(address: string): string {
  return `${address}.micrograft`
}

/** The subject to listen on: a new one where the address is empty or has port 0, as go-micro has it. @throws `invalid-option` */
export function listenSubject(address: string): string {
  return address === '' || /^(?:[^\s:]*|\[[^\]\s]*\]):0$/.test(address) ? createInbox() : dialSubject(address)
}

/** @throws `invalid-option` where it is no subject. */
export function dialSubject(address: string): string {
  if (typeof address === 'string' && address.length <= 255 && /^[^\s.*>]+(?:\.[^\s.*>]+)*$/.test(address)) {
    return address
  }
  throw new ServiceError(
    'invalid-option',
    `${JSON.stringify(String(address).slice(0, 64))} is no address of the nats transport; write a subject, e.g. greeter.1`,
  )
}
