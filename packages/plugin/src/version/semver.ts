/** Semantic Versioning 2.0.0: parsing and precedence. */

export interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** Dot-separated identifiers after `-`, numbers as numbers (§9, §11.4). */
  readonly prerelease: readonly (string | number)[]
  /** Text after `+`, which has no part in precedence (§10). */
  readonly build: string
}

const pattern =
  /^(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/

const maxLength = 256

/** The version that `text` names, or `undefined` where it is no semantic version. */
export function parseVersion(text: string): Version | undefined {
  if (text.length > maxLength) return undefined
  const match = pattern.exec(text)
  if (!match) return undefined
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3])] as const
  if (![major, minor, patch].every(Number.isSafeInteger)) return undefined
  const prerelease = parsePrerelease(match[4])
  return prerelease && { major, minor, patch, prerelease, build: match[5] ?? '' }
}

/** The identifiers of a pre-release, or `undefined` where a number has a leading zero (§9). */
export function parsePrerelease(text: string | undefined): (string | number)[] | undefined {
  if (text === undefined) return []
  const parts: (string | number)[] = []
  for (const part of text.split('.')) {
    if (!/^\d+$/.test(part)) parts.push(part)
    else if (part.length > 1 && part.startsWith('0')) return undefined
    else parts.push(Number(part))
  }
  return parts
}

/** Negative, zero or positive as `a` precedes, equals or follows `b` in precedence (§11). */
export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch || comparePrerelease(a, b)
}

function comparePrerelease({ prerelease: a }: Version, { prerelease: b }: Version): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    if (x === undefined) return -1
    if (y === undefined) return 1
    if (x === y) continue
    if (typeof x !== typeof y) return typeof x === 'number' ? -1 : 1
    return x < y ? -1 : 1
  }
  return 0
}

/**
 * The order in which a platform prefers versions: every release above every pre-release, then
 * precedence, then the build text so that the order is total. A pre-release of the next major
 * version must not take over from a release by merely being there; `prefer` chooses it.
 */
export function comparePreference(a: Version, b: Version): number {
  const [releaseA, releaseB] = [a.prerelease.length === 0, b.prerelease.length === 0]
  if (releaseA !== releaseB) return releaseA ? 1 : -1
  return compareVersions(a, b) || (a.build === b.build ? 0 : a.build < b.build ? -1 : 1)
}
