import {
  create,
  createFileRegistry,
  fromBinary,
  type DescMessage,
  type DescService,
  type Message,
} from '@bufbuild/protobuf'
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  type FileDescriptorProto,
} from '@bufbuild/protobuf/wkt'
import type { Schema } from '@micrograft/contracts'

export type Hello = Message & { name: string }
export type Greeting = Message & { msg: string; times: bigint }

const text = (name: string, number: number, type = FieldDescriptorProto_Type.STRING) => ({
  name,
  number,
  type,
  label: FieldDescriptorProto_Label.OPTIONAL,
  jsonName: name,
})

const messages: FileDescriptorProto = create(FileDescriptorProtoSchema, {
  name: 'acme/v1/messages.proto',
  package: 'acme.v1',
  syntax: 'proto3',
  messageType: [
    { name: 'HelloRequest', field: [text('name', 1)] },
    {
      name: 'HelloReply',
      field: [text('msg', 1), text('times', 2, FieldDescriptorProto_Type.INT64)],
      enumType: [{ name: 'Mood', value: [{ name: 'MOOD_UNSPECIFIED', number: 0 }] }],
    },
  ],
})

const io = { inputType: '.acme.v1.HelloRequest', outputType: '.acme.v1.HelloReply' }
const service: FileDescriptorProto = create(FileDescriptorProtoSchema, {
  name: 'acme/v1/say.proto',
  package: 'acme.v1',
  syntax: 'proto3',
  dependency: ['acme/v1/messages.proto'],
  service: [
    {
      name: 'Say',
      method: [
        { name: 'Hello', ...io },
        { name: 'Count', ...io, serverStreaming: true },
      ],
    },
  ],
})

const files = createFileRegistry(service, (name) => (name === messages.name ? messages : undefined))

/** What a generator makes of a `.proto` file with this service in it. */
export const SayService: DescService = files.getService('acme.v1.Say') as DescService
export const HelloRequestSchema: DescMessage = files.getMessage('acme.v1.HelloRequest') as DescMessage
export const HelloReplySchema: DescMessage = files.getMessage('acme.v1.HelloReply') as DescMessage

/** Reads the bytes of a request as a message. */
export function messageSchema<T>(descriptor: DescMessage): Schema<Uint8Array, T> {
  return {
    '~standard': {
      version: 1,
      vendor: 'protobuf',
      validate(value) {
        if (!(value instanceof Uint8Array)) return { issues: [{ message: 'not sent as protobuf' }] }
        try {
          return { value: fromBinary(descriptor, value) as T }
        } catch (error) {
          return { issues: [{ message: (error as Error).message }] }
        }
      },
    },
  }
}
