/** Whole numbers from 0 up to below `limit`, the same ones for the same seed on every machine. */
export type Random = (limit: number) => number

/** Mulberry32, by Tommy Ettinger. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T
}

type Mutation = (input: Buffer, random: Random, others: readonly Buffer[]) => Buffer

/** A part of `input`, mostly a short one. */
function range(input: Buffer, random: Random): readonly [number, number] {
  const start = random(input.length + 1)
  const longest = Math.min(input.length - start, random(4) === 0 ? input.length : 16)
  return [start, start + random(longest + 1)]
}

function joined(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts)
}

const mutations: readonly Mutation[] = [
  function flipBit(input, random) {
    const output = Buffer.from(input)
    const at = random(output.length)
    output[at] = (output[at] as number) ^ (1 << random(8))
    return output
  },
  function setByte(input, random) {
    const output = Buffer.from(input)
    output[random(output.length)] = random(256)
    return output
  },
  function insertBytes(input, random) {
    const at = random(input.length + 1)
    const bytes = Uint8Array.from({ length: 1 + random(8) }, () => random(256))
    return joined(input.subarray(0, at), bytes, input.subarray(at))
  },
  function deleteRange(input, random) {
    const [start, end] = range(input, random)
    return joined(input.subarray(0, start), input.subarray(end))
  },
  function duplicateRange(input, random) {
    const [start, end] = range(input, random)
    return joined(input.subarray(0, end), input.subarray(start))
  },
  function moveRange(input, random) {
    const [start, end] = range(input, random)
    const rest = joined(input.subarray(0, start), input.subarray(end))
    const at = random(rest.length + 1)
    return joined(rest.subarray(0, at), input.subarray(start, end), rest.subarray(at))
  },
  function truncate(input, random) {
    return input.subarray(0, random(input.length + 1))
  },
  function splice(input, random, others) {
    const other = pick(random, others)
    return joined(input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1)))
  },
  function spliceAtOneOffset(input, random, others) {
    const at = random(input.length + 1)
    return joined(input.subarray(0, at), pick(random, others).subarray(at))
  },
  /** One of the first two lines, or all that follows them, from another. */
  function exchangeLine(input, random, others) {
    const parts = lines(input)
    const at = random(3)
    parts[at] = lines(pick(random, others))[at] as Buffer
    return joined(...parts)
  },
]

function lines(file: Buffer): Buffer[] {
  const first = file.indexOf(10) + 1
  const second = file.indexOf(10, first) + 1
  return [file.subarray(0, first), file.subarray(first, second), file.subarray(second)]
}

/** `input` after one to four mutations, some of which put in parts of `others`. */
export function mutate(input: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  let output = input
  for (let left = 1 + random(4); left > 0 && output.length > 0; left--) {
    output = pick(random, mutations)(output, random, others)
  }
  return output
}
