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

/** `bytes` with something wrong, most of the time. */
export function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes)
  const at = random(Math.max(1, copy.length))
  switch (random(7)) {
    case 0:
      return copy
    case 1:
      return copy.subarray(0, at)
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(random(Math.max(1, copy.length)))])
    case 3:
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.from(Array.from({ length: random(12) }, () => random(256))),
        copy.subarray(at),
      ])
    case 4:
      if (copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << random(8))
      return copy
    default:
      for (let i = random(6); i >= 0; i--) if (copy.length > 0) copy[random(copy.length)] = random(256)
      return copy
  }
}
