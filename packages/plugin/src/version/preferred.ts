import { inRange, type Range } from './range.js'
import { comparePreference, type Version } from './semver.js'

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
