import type { WireError } from '@micrograft/contracts'
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'

const typeUrl = 'type.googleapis.com/errors.Error'

/** `google.rpc.Status` with one `errors.Error` of go-micro in it, as base64 without padding. */
export function writeStatusDetails(status: number, message: string, error: WireError): string {
  const inner = new BinaryWriter()
  if (error.id !== '') inner.tag(1, 2).string(error.id)
  if (error.code !== 0) inner.tag(2, 0).int32(error.code)
  if (error.detail !== '') inner.tag(3, 2).string(error.detail)
  if (error.status !== '') inner.tag(4, 2).string(error.status)
  const writer = new BinaryWriter()
  if (status !== 0) writer.tag(1, 0).int32(status)
  if (message !== '') writer.tag(2, 2).string(message)
  writer.tag(3, 2).fork()
  writer.tag(1, 2).string(typeUrl)
  writer.tag(2, 2).bytes(inner.finish())
  const bytes = writer.join().finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '')
}

/** The first `errors.Error` in the value of `grpc-status-details-bin`; `undefined` where there is none that can be read. */
export function readStatusDetails(value: string): WireError | undefined {
  try {
    const reader = new BinaryReader(Buffer.from(value.split(',', 1)[0] ?? '', 'base64'))
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      if (field !== 3 || type !== 2) {
        reader.skip(type, field)
        continue
      }
      const error = readAny(reader.bytes())
      if (error) return error
    }
  } catch {
    // What a peer sends there is an addition to the status, which is read without it.
  }
  return undefined
}

function readAny(bytes: Uint8Array): WireError | undefined {
  const reader = new BinaryReader(bytes)
  let url = ''
  let value: Uint8Array | undefined
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === 2) url = reader.string()
    else if (field === 2 && type === 2) value = reader.bytes()
    else reader.skip(type, field)
  }
  return value && url.endsWith('/errors.Error') ? readError(value) : undefined
}

function readError(bytes: Uint8Array): WireError {
  const reader = new BinaryReader(bytes)
  const error = { id: '', code: 0, detail: '', status: '' }
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === 2) error.id = reader.string()
    else if (field === 2 && type === 0) error.code = reader.int32()
    else if (field === 3 && type === 2) error.detail = reader.string()
    else if (field === 4 && type === 2) error.status = reader.string()
    else reader.skip(type, field)
  }
  return error
}
