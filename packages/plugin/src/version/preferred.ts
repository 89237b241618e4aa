import { inRange, type Range } from './range.js'
import { comparePreference, parseVersion, type Version } from './semver.js'

/** The one of `candidates` that comes first in preference among those in `range`, if any is. */
export function preferred<T extends { readonly parsed: Version }>(
  candidates: Iterable<T>,
  range?: Range,
): T | undefined {
  let best: T | undefined
  for (const candidate of candidates) {
    if (range && !inRange(candidate.parsed, range)) continue
    if (!best || comparePreference(candidate.parsed, best.parsed) > 0) best = candidate
  }
  return best
}

/**
 * Sorts versions in the order in which a platform prefers them, from the last to the first: pre-releases are
 * below releases, and what is no semantic version is below both.
 */
export function compareVersionTexts(a: string, b: string): number {
  const [versionA, versionB] = [parseVersion(a), parseVersion(b)]
  if (versionA && versionB) return comparePreference(versionA, versionB)
  return Number(versionA !== undefined) - Number(versionB !== undefined)
}
