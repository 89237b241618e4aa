/** Ranges of semantic versions, as npm writes them: `^1.2`, `~1.2.3`, `>=1 <3`, `1.x || 2.0.0`, `1.2 - 1.4`. */

import { compareVersions, parsePrerelease, type Version } from './semver.js'

interface Comparator {
  readonly test: (order: number) => boolean
  readonly version: Version
}

/** Alternatives, each a list of comparators that all hold. */
export type Range = readonly (readonly Comparator[])[]

const number = '(0|[1-9]\\d*|[xX*])'
const identifiers = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*'
const partial = `v?${number}(?:\\.${number}(?:\\.${number}(?:-(${identifiers}))?(?:\\+${identifiers})?)?)?`
const hyphen = new RegExp(`^\\s*${partial}\\s+-\\s+${partial}\\s*$`)
const comparator = new RegExp(`^(\\^|~>?|>=?|<=?|=)?${partial}$`)
const maxLength = 256

const atLeast = (version: Version): Comparator => ({ version, test: (order) => order >= 0 })
const below = (version: Version): Comparator => ({ version, test: (order) => order < 0 })
const above = (version: Version): Comparator => ({ version, test: (order) => order > 0 })
const atMost = (version: Version): Comparator => ({ version, test: (order) => order <= 0 })

/** What may be left out of a version in a range: `1`, `1.2`, `1.x`. */
interface Partial {
  readonly major: number | undefined
  readonly minor: number | undefined
  readonly patch: number | undefined
  readonly prerelease: readonly (string | number)[]
}

/** The range that `text` writes, or `undefined` where it is none. */
export function parseRange(text: string): Range | undefined {
  if (typeof text !== 'string' || text.length > maxLength) return undefined
  const alternatives = text.split('||').map(parseAlternative)
  return alternatives.every((each) => each !== undefined) ? alternatives : undefined
}

/**
 * Whether `version` lies in `range`. A pre-release does only where a comparator names a pre-release
 * of the same major, minor and patch: who asks for `^1.0.0` did not ask for `1.3.0-beta`.
 */
export function inRange(version: Version, range: Range): boolean {
  return range.some(
    (comparators) =>
      comparators.every(({ test, version: bound }) => test(compareVersions(version, bound))) &&
      (version.prerelease.length === 0 ||
        comparators.some(({ version: bound }) => bound.prerelease.length > 0 && sameTriple(bound, version))),
  )
}

function sameTriple(a: Version, b: Version): boolean {
  return a.major === b.major && a.minor === b.minor && a.patch === b.patch
}

function parseAlternative(text: string): Comparator[] | undefined {
  const between = text.includes('-') && hyphen.exec(text)
  if (between) {
    const low = toPartial(between, 1)
    const high = toPartial(between, 5)
    return low && high && [atLeast(floor(low)), ...upTo(high)]
  }
  const terms = text
    .trim()
    .replace(/(?<![<>=]\s*)(\^|~>?|>=?|<=?|=)\s+/g, '$1')
    .split(/\s+/)
  const comparators: Comparator[] = []
  for (const term of terms) {
    const parsed = term === '' ? [] : parseTerm(term)
    if (!parsed) return undefined
    comparators.push(...parsed)
  }
  return comparators.length > 0 ? comparators : [atLeast(version(0, 0, 0))]
}

function parseTerm(term: string): Comparator[] | undefined {
  const match = comparator.exec(term)
  const bound = match && toPartial(match, 2)
  if (!match || !bound) return undefined
  switch (match[1]) {
    case '^':
      return [atLeast(floor(bound)), ...caretLimit(bound)]
    case '~':
    case '~>':
      return [atLeast(floor(bound)), ...tildeLimit(bound)]
    case '>=':
      return [atLeast(floor(bound))]
    case '<':
      return [
        below(
          bound.major === undefined ? zero : floor(bound, bound.patch === undefined ? [0] : bound.prerelease),
        ),
      ]
    case '>':
      return bound.patch === undefined ? after(bound) : [above(floor(bound))]
    case '<=':
      return upTo(bound)
    default:
      return bound.patch === undefined
        ? [atLeast(floor(bound)), ...tildeLimit(bound)]
        : [atLeast(floor(bound)), atMost(floor(bound))]
  }
}

function toPartial(match: RegExpExecArray, at: number): Partial | undefined {
  const parts = match
    .slice(at, at + 3)
    .map((text) => (text === undefined || /^[xX*]$/.test(text) ? undefined : Number(text)))
  const [major, minor, patch] = parts
  // Nothing is after `x`: what would `1.x.3` mean?
  if (parts.some((part, i) => part !== undefined && parts.slice(0, i).includes(undefined))) return undefined
  if (!parts.every((part) => part === undefined || Number.isSafeInteger(part))) return undefined
  const prerelease = parsePrerelease(match[at + 3])
  return prerelease && { major, minor, patch, prerelease: patch === undefined ? [] : prerelease }
}

function version(
  major: number,
  minor: number,
  patch: number,
  prerelease: readonly (string | number)[] = [],
): Version {
  return { major, minor, patch, prerelease, build: '' }
}

/** Lower than every version. */
const zero = version(0, 0, 0, [0])

function floor(bound: Partial, prerelease: readonly (string | number)[] = bound.prerelease): Version {
  return version(bound.major ?? 0, bound.minor ?? 0, bound.patch ?? 0, prerelease)
}

/** Versions below the next one that `~` would not take; `-0` keeps the next one's pre-releases out. */
function tildeLimit({ major, minor }: Partial): Comparator[] {
  if (major === undefined) return []
  return [below(minor === undefined ? version(major + 1, 0, 0, [0]) : version(major, minor + 1, 0, [0]))]
}

function caretLimit({ major, minor, patch }: Partial): Comparator[] {
  if (major === undefined) return []
  if (major > 0 || minor === undefined) return [below(version(major + 1, 0, 0, [0]))]
  if (minor > 0 || patch === undefined) return [below(version(0, minor + 1, 0, [0]))]
  return [below(version(0, 0, patch + 1, [0]))]
}

function upTo(bound: Partial): Comparator[] {
  return bound.patch === undefined ? tildeLimit(bound) : [atMost(floor(bound))]
}

/** `>1` means from 2.0.0, `>1.2` from 1.3.0; `>*` is nothing. */
function after({ major, minor }: Partial): Comparator[] {
  if (major === undefined) return [below(zero)]
  return [atLeast(minor === undefined ? version(major + 1, 0, 0) : version(major, minor + 1, 0))]
}
