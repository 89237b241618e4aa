import {
  toBinary,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescEnum,
} from '@bufbuild/protobuf'
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { ServiceError, type Metadata, type ServerStream } from '@micrograft/contracts'
import { grpcStatus } from './grpc-status.js'
import type { InternalEndpoint } from './server-connection.js'
import type { ServiceList } from './service-list.js'

/** `ServerReflectionRequest`, whose answers are fields of `ServerReflectionResponse`; v1alpha has the same bytes as v1. */
const ask = { byFilename: 3, bySymbol: 4, byExtension: 5, extensionNumbers: 6, list: 7 }
const answer = { files: 4, extensionNumbers: 5, services: 6, error: 7 }

interface Question {
  readonly host: string
  readonly field: number
  /** The text of all but `byExtension`: there the containing type. */
  readonly text: string
  readonly extension: number
}

/** Tells of the server's services, and of their protobuf files where there are descriptors. */
export function reflectionEndpoints(list: ServiceList): readonly (readonly [string, InternalEndpoint])[] {
  const catalogue = new Catalogue(list)
  const serve: InternalEndpoint = (_, stream) => catalogue.serve(stream)
  return ['v1', 'v1alpha'].map((version) => [
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    serve,
  ])
}

class Catalogue {
  readonly #list: ServiceList
  readonly #files = new Map<string, DescFile>()
  readonly #symbols = new Map<string, DescFile>()
  readonly #extensions = new Map<string, Map<number, DescFile>>()

  constructor(list: ServiceList) {
    this.#list = list
    for (const { file } of list.descriptors) this.#add(file)
  }

  async serve(stream: ServerStream): Promise<Metadata> {
    for await (const bytes of stream.messages) await stream.send(await this.#answer(bytes))
    return {}
  }

  async #answer(bytes: Uint8Array): Promise<Uint8Array> {
    const question = read(bytes)
    const writer = new BinaryWriter()
    if (question.host !== '') writer.tag(1, 2).string(question.host)
    writer.tag(2, 2).bytes(bytes)
    switch (question.field) {
      case ask.list:
        writer.tag(answer.services, 2).fork()
        for (const name of await this.#list.names()) writer.tag(1, 2).fork().tag(1, 2).string(name).join()
        return writer.join().finish()
      case ask.byFilename:
        return this.#fileOr(writer, this.#files.get(question.text), `file ${question.text}`)
      case ask.bySymbol:
        return this.#fileOr(writer, this.#symbols.get(question.text), `symbol ${question.text}`)
      case ask.byExtension: {
        const file = this.#extensions.get(question.text)?.get(question.extension)
        return this.#fileOr(writer, file, `extension ${question.extension} of ${question.text}`)
      }
      case ask.extensionNumbers:
        return this.#numbers(writer, question.text)
      default:
        return failure(writer, grpcStatus.invalidArgument, 'the request asks for nothing that is known')
    }
  }

  #fileOr(writer: BinaryWriter, file: DescFile | undefined, what: string): Uint8Array {
    if (!file) return failure(writer, grpcStatus.notFound, `no protobuf descriptor is known for the ${what}`)
    writer.tag(answer.files, 2).fork()
    writer.tag(1, 2).bytes(toBinary(FileDescriptorProtoSchema, file.proto))
    return writer.join().finish()
  }

  #numbers(writer: BinaryWriter, type: string): Uint8Array {
    if (!this.#symbols.has(type))
      return failure(writer, grpcStatus.notFound, `no protobuf descriptor is known for the type ${type}`)
    writer.tag(answer.extensionNumbers, 2).fork().tag(1, 2).string(type)
    for (const number of this.#extensions.get(type)?.keys() ?? []) writer.tag(2, 0).int32(number)
    return writer.join().finish()
  }

  #add(file: DescFile): void {
    // Generated code names a file without its ending.
    const name = file.proto.name
    if (this.#files.has(name)) return
    this.#files.set(name, file)
    for (const each of file.dependencies) this.#add(each)
    for (const each of file.messages) this.#addMessage(each, file)
    for (const each of file.enums) this.#addEnum(each, file)
    for (const each of file.extensions) this.#addExtension(each, file)
    for (const each of file.services) {
      this.#symbols.set(each.typeName, file)
      for (const method of each.methods) this.#symbols.set(`${each.typeName}.${method.name}`, file)
    }
  }

  #addMessage(message: DescMessage, file: DescFile): void {
    this.#symbols.set(message.typeName, file)
    for (const each of message.nestedMessages) this.#addMessage(each, file)
    for (const each of message.nestedEnums) this.#addEnum(each, file)
    for (const each of message.nestedExtensions) this.#addExtension(each, file)
  }

  #addEnum(each: DescEnum, file: DescFile): void {
    this.#symbols.set(each.typeName, file)
  }

  #addExtension({ typeName, extendee, number }: DescExtension, file: DescFile): void {
    this.#symbols.set(typeName, file)
    const known = this.#extensions.get(extendee.typeName) ?? new Map<number, DescFile>()
    this.#extensions.set(extendee.typeName, known.set(number, file))
  }
}

function failure(writer: BinaryWriter, status: number, message: string): Uint8Array {
  writer.tag(answer.error, 2).fork().tag(1, 0).int32(status).tag(2, 2).string(message).join()
  return writer.finish()
}

/** @throws `bad-request` */
function read(bytes: Uint8Array): Question {
  let host = ''
  let field = 0
  let text = ''
  let extension = 0
  try {
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag()
      if (number === 1 && type === 2) host = reader.string()
      else if (number === ask.byExtension && type === 2) {
        field = number
        ;({ text, extension } = readExtension(reader.bytes()))
      } else if (number >= ask.byFilename && number <= ask.list && type === 2) {
        field = number
        text = reader.string()
      } else reader.skip(type, number)
    }
  } catch (error) {
    throw new ServiceError('bad-request', 'the request is no ServerReflectionRequest', { cause: error })
  }
  return { host, field, text, extension }
}

function readExtension(bytes: Uint8Array): { text: string; extension: number } {
  const reader = new BinaryReader(bytes)
  const found = { text: '', extension: 0 }
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    if (number === 1 && type === 2) found.text = reader.string()
    else if (number === 2 && type === 0) found.extension = reader.int32()
    else reader.skip(type, number)
  }
  return found
}
