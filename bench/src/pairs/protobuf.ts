import type { Payload } from './adapter.js'
import { peerFile } from './peer-files.js'

/** Reads and writes the payload as Protocol Buffers; the library is a peer's as well, and comes with those. */
export interface Protobuf {
  encode(value: Payload): Uint8Array
  decode(bytes: Uint8Array): Payload
}

export async function loadProtobuf(): Promise<Protobuf> {
  return (await import(peerFile('messages.mjs').href)) as Protobuf
}
