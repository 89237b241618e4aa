/** Numbers that look random and are the same on every run: xorshift32. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/**
 * How many of `inputs` a fuzzer tries: all, or the first of them where `FUZZ_SHARE` says which part, e.g.
 * 0.1 on the Nodes that come after the first.
 */
export function shareOf(inputs: number): number {
  return Math.ceil(inputs * Number(process.env['FUZZ_SHARE'] ?? 1))
}

/** In the words of a test's name. */
export function told(inputs: number): string {
  return inputs.toLocaleString('en')
}

/** `bytes` with something wrong, most of the time. */
export function mutate(bytes: Buffer, random: (below: number) => number, others: readonly Buffer[]): Buffer {
  const copy = Buffer.from(bytes)
  const at = random(Math.max(1, copy.length))
  switch (random(9)) {
    case 0:
      return copy
    case 1:
    case 2:
      for (let i = random(4); i >= 0; i--) if (copy.length > 0) copy[random(copy.length)] = random(256)
      return copy
    case 3:
      return copy.subarray(0, at)
    case 4:
      return Buffer.concat([copy, Buffer.from([random(256), random(256)])])
    case 5:
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.from([0xff, 0xff, 0xff, 0xff, random(256)]),
        copy.subarray(at),
      ])
    case 6:
      return Buffer.concat([copy.subarray(0, at), others[random(others.length)] as Buffer])
    case 7:
      if (copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << random(8))
      return copy
    default:
      return Buffer.from(Array.from({ length: random(24) }, () => random(256)))
  }
}
