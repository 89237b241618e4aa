// The payload as Protocol Buffers. The descriptor is written here, so that nobody needs protoc.

import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

const types = { double: 1, int32: 5, string: 9, message: 11 }
const field = (name, number, type, more) => ({
  name,
  number,
  type: types[type],
  label: 1,
  jsonName: name,
  ...more,
})
const file = create(FileDescriptorProtoSchema, {
  name: 'test.proto',
  package: 'test',
  syntax: 'proto3',
  messageType: [
    {
      name: 'Item',
      field: [
        field('id', 1, 'int32'),
        field('name', 2, 'string'),
        field('price', 3, 'double'),
        field('text', 4, 'string'),
      ],
    },
    {
      name: 'Payload',
      field: [
        field('n', 1, 'int32'),
        field('name', 2, 'string'),
        field('text', 3, 'string'),
        field('items', 4, 'message', { label: 3, typeName: '.test.Item' }),
      ],
    },
  ],
  service: [
    {
      name: 'Echo',
      method: [
        { name: 'Call', inputType: '.test.Payload', outputType: '.test.Payload' },
        { name: 'Stream', inputType: '.test.Payload', outputType: '.test.Payload', serverStreaming: true },
      ],
    },
  ],
})
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }))

export const Echo = registry.getService('test.Echo')
export const Payload = registry.getMessage('test.Payload')

export const encode = (value) => toBinary(Payload, create(Payload, value))
export const decode = (bytes) => fromBinary(Payload, bytes)
