import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { MixinSchema } from '@bufbuild/protobuf/wkt'
import type { ContentType } from './cells.js'

/** What every endpoint takes and gives: in JSON an object, in protobuf the bytes of a `google.protobuf.Mixin`. */
export type Message = { readonly name?: string } | Uint8Array

export function write(name: string, type: ContentType): Message {
  if (type === 'application/json') return { name }
  return toBinary(MixinSchema, create(MixinSchema, { name }))
}

export function read(message: Message): string {
  return (message instanceof Uint8Array ? fromBinary(MixinSchema, message) : message).name ?? ''
}

/** In the form of the message that it answers. */
export function answer(message: Message, name: string): Message {
  return write(name, message instanceof Uint8Array ? 'application/protobuf' : 'application/json')
}
