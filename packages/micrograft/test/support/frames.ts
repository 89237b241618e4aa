import type { Metadata } from '@micrograft/contracts'
import { FrameType } from '../../dist/rpc/frame.js'
import { callHead, replyHead, Scratch, type WireTarget } from '../../dist/rpc/frame-writer.js'

export * from '../../dist/rpc/frame-writer.js'

/** A whole call, or opening of a stream. */
export function callFrame(
  type: number,
  slot: number,
  timeoutMs: number,
  target: WireTarget,
  metadata: Metadata,
  body: Uint8Array,
): Buffer {
  const scratch = new Scratch()
  const length = callHead(scratch, type, slot, timeoutMs, target, metadata)
  return Buffer.concat([scratch.bytes.subarray(0, length), body])
}

export function openFrame(slot: number, timeoutMs: number, target: WireTarget, metadata: Metadata): Buffer {
  return callFrame(FrameType.open, slot, timeoutMs, target, metadata, Buffer.alloc(0))
}

export function replyFrame(slot: number, contentType: string, metadata: Metadata, body: Uint8Array): Buffer {
  const scratch = new Scratch()
  const length = replyHead(scratch, slot, contentType, metadata)
  return Buffer.concat([scratch.bytes.subarray(0, length), body])
}
