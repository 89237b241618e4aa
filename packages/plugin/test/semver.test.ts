import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import * as semver from 'semver'
// Not part of what the package offers: only its platform and its builder ask about versions.
import { compareVersionTexts, preferred } from '../dist/version/preferred.js'
import { inRange, parseRange } from '../dist/version/range.js'
import { comparePreference, compareVersions, parseVersion, type Version } from '../dist/version/semver.js'

/** The same cases on every machine and in every run. */
const seed = 20_260_702

const identifier = fc.oneof(
  fc.constantFrom('0', '1', '2', '10', 'alpha', 'beta', 'rc', 'x', '-', 'a-b', '0a', 'A'),
  fc.stringMatching(/^[0-9A-Za-z-]{1,6}$/),
)
const dotted = fc.array(identifier, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'))
/** Few numbers, so that versions and the bounds of ranges meet. */
const small = fc.constantFrom('0', '1', '2', '3', '10')
const triple = fc.tuple(small, small, small).map((parts) => parts.join('.'))
const prerelease = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  fc.constantFrom('-0', '-1', '-alpha', '-alpha.1', '-beta', '-rc.2'),
  dotted.map((text) => `-${text}`),
)
const build = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  dotted.map((text) => `+${text}`),
)
const joined = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((each) => each.join(''))
const versionText = joined(triple, prerelease, build).filter((text) => semver.valid(text) !== null)

function parsed(text: string): Version {
  const version = parseVersion(text)
  assert.ok(version, `refuses the version ${text}`)
  return version
}

/** Text that is nearly a version: one with a character put in, taken out, or changed. */
const nearly = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(
      text,
      fc.nat(40),
      fc.constantFrom('', '0', '1', '.', '-', '+', 'a', '_', 'é', '^', '|', '<', '=', ' ', 'x'),
      fc.nat(2),
    )
    .map(([text, at, put, taken]) => text.slice(0, at) + put + text.slice(at + taken))

test('parses what npm parses, to the same parts', () => {
  const property = fc.property(versionText, (text) => {
    const { major, minor, patch, prerelease, build } = semver.parse(text) as semver.SemVer
    assert.deepEqual(parsed(text), {
      major,
      minor,
      patch,
      prerelease: [...prerelease],
      build: build.join('.'),
    })
  })
  fc.assert(property, { seed, numRuns: 5000 })
})

test('refuses what npm refuses, and leading signs and space too', () => {
  const property = fc.property(fc.oneof(nearly(versionText), fc.string()), (text) => {
    // npm takes ` v1.2.3` and `=1.2.3`; the specification has no such versions.
    const expected = semver.valid(text) !== null && /^\d/.test(text) && text.trim() === text
    assert.equal(parseVersion(text) !== undefined, expected, text)
  })
  fc.assert(property, { seed, numRuns: 20_000 })
})

test('refuses numbers that a computer could not tell apart, and texts of more than 256 characters', () => {
  assert.ok(parseVersion('9007199254740991.0.0'))
  assert.equal(parseVersion('9007199254740992.0.0'), undefined)
  assert.ok(parseVersion(`1.0.0-${'a'.repeat(250)}`))
  assert.equal(parseVersion(`1.0.0-${'a'.repeat(251)}`), undefined)
  assert.equal(parseRange(' '.repeat(257)), undefined)
  assert.equal(parseRange('>=9007199254740992.0.0'), undefined)
})

test('puts versions in the order in which npm puts them', () => {
  const property = fc.property(versionText, versionText, (a, b) => {
    assert.equal(Math.sign(compareVersions(parsed(a), parsed(b))), semver.compare(a, b))
  })
  fc.assert(property, { seed, numRuns: 20_000 })
})

test('puts the versions of the specification in its order', () => {
  const order = ['alpha', 'alpha.1', 'alpha.beta', 'beta', 'beta.2', 'beta.11', 'rc.1'].map(
    (each) => `1.0.0-${each}`,
  )
  const versions = [...order, '1.0.0', '2.0.0', '2.1.0', '2.1.1'].map(parsed)
  for (const [i, a] of versions.entries()) {
    for (const [j, b] of versions.entries()) assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j))
  }
})

const wild = fc.oneof({ weight: 4, arbitrary: small }, fc.constantFrom('x', 'X', '*'))
/** A version with parts left out from the right: `1`, `1.x`, `1.2.*`, `v1.2.3-beta+5`. */
const partial = fc
  .tuple(fc.constantFrom('', '', '', 'v'), fc.array(wild, { minLength: 1, maxLength: 3 }), prerelease, build)
  .map(([sign, parts, prerelease, build]) => {
    const firstWild = parts.findIndex((part) => !/\d/.test(part))
    const filled = parts.map((part, i) => (firstWild >= 0 && i > firstWild ? 'x' : part))
    return sign + filled.join('.') + (parts.length === 3 ? prerelease + build : '')
  })
const space = fc.constantFrom('', '', ' ', '  ', '\t')
const operator = fc.constantFrom('', '', '^', '~', '~>', '>', '>=', '<', '<=', '=')
const term = joined(operator, space, partial)
const hyphenated = joined(space, partial, fc.constantFrom(' - ', '  -  ', ' -\t'), partial, space)
const several = fc.array(term, { minLength: 0, maxLength: 3 }).map((terms) => terms.join(' '))
const alternative = fc.oneof({ weight: 3, arbitrary: several }, hyphenated)
const rangeText = fc
  .array(joined(space, alternative, space), { minLength: 1, maxLength: 3 })
  .map((alternatives) => alternatives.join('||'))

/**
 * npm's own answer, one alternative after the other: npm takes `*` among alternatives for the whole
 * range, and with it gives up the pre-releases that another alternative names.
 */
function satisfies(version: string, range: string): boolean {
  return range.split('||').some((alternative) => semver.satisfies(version, alternative))
}

test('takes every range that can be written, and finds in it what npm finds in it', () => {
  const taken = { ranges: 0, inside: 0, outside: 0 }
  const versions = fc.array(versionText, { minLength: 5, maxLength: 5 })
  const property = fc.property(rangeText, versions, (text, versions) => {
    const range = parseRange(text)
    assert.equal(range !== undefined, semver.validRange(text) !== null, text)
    if (!range) return
    taken.ranges++
    for (const version of versions) {
      const inside = inRange(parsed(version), range)
      assert.equal(inside, satisfies(version, text), `${version} in ${text}`)
      taken[inside ? 'inside' : 'outside']++
    }
  })
  fc.assert(property, { seed, numRuns: 8000 })
  assert.ok(taken.ranges > 6000 && taken.inside > 4000 && taken.outside > 4000, JSON.stringify(taken))
})

test('finds in a range what npm finds at its very bounds', () => {
  const near = (bound: string) => {
    const { major, minor, patch } = semver.coerce(bound) as semver.SemVer
    const around = [
      [major, minor, patch],
      [major, minor, patch + 1],
      [major, minor + 1, 0],
      [major + 1, 0, 0],
      [major, minor, Math.max(0, patch - 1)],
      [major, Math.max(0, minor - 1), 9],
    ].map((each) => each.join('.'))
    return around.flatMap((each) => [each, `${each}-0`, `${each}-alpha`, `${each}-alpha.1`, `${each}+build`])
  }
  const shorter = (bound: string, parts: number) => bound.split('.').slice(0, parts).join('.')
  // npm takes `>=0.0.0` for anything, also for the pre-releases of 0.0.0, which come before it.
  const bounds = versionText.filter((text) => !text.startsWith('0.0.0'))
  const second = fc.option(fc.tuple(operator, fc.integer({ min: 1, max: 2 })), { nil: undefined })
  const property = fc.property(operator, bounds, second, (operator, bound, second) => {
    const text = operator + bound + (second ? ` ${second[0]}${shorter(bound, second[1])}` : '')
    const range = parseRange(text)
    assert.ok(range, text)
    for (const version of near(bound)) {
      assert.equal(inRange(parsed(version), range), satisfies(version, text), `${version} in ${text}`)
    }
  })
  fc.assert(property, { seed, numRuns: 3000 })
})

test('takes no range that npm refuses', () => {
  const property = fc.property(
    fc.oneof(nearly(rangeText), nearly(nearly(rangeText)), fc.string()),
    (text) => {
      if (parseRange(text)) assert.notEqual(semver.validRange(text), null, text)
    },
  )
  fc.assert(property, { seed, numRuns: 30_000 })
  for (const text of [
    'latest',
    '1.2.3.4',
    '>>1',
    '^',
    '1 -',
    '- 1',
    '1.x.3',
    'x.1',
    '01',
    '1.2.3-01',
    '1.2.3+a..b',
    '> = 1',
    '== 1',
  ]) {
    assert.equal(parseRange(text), undefined, text)
  }
})

test('prefers releases to pre-releases, then what is higher, in one order for all', () => {
  const isRelease = (text: string) => semver.prerelease(text) === null
  const property = fc.property(versionText, versionText, versionText, (a, b, c) => {
    const order = (x: string, y: string) => Math.sign(comparePreference(parsed(x), parsed(y)))
    assert.equal(order(a, b) + order(b, a), 0)
    if (order(a, b) <= 0 && order(b, c) <= 0) assert.ok(order(a, c) <= 0)
    if (isRelease(a) !== isRelease(b)) assert.equal(order(a, b), isRelease(a) ? 1 : -1)
    else if (semver.compare(a, b) !== 0) assert.equal(order(a, b), semver.compare(a, b))
    assert.equal(order(a, b) === 0, a === b)
  })
  fc.assert(property, { seed, numRuns: 20_000 })
})

test('prefers among several what is highest of the releases in the range, else of its pre-releases', () => {
  const texts = fc.array(versionText, { maxLength: 8 })
  const property = fc.property(texts, rangeText, (texts, rangeText) => {
    const range = parseRange(rangeText)
    fc.pre(range !== undefined)
    const inside = texts.filter((each) => satisfies(each, rangeText))
    const releases = inside.filter((each) => semver.prerelease(each) === null)
    const [best] = semver.rsort(releases.length > 0 ? releases : inside)
    const chosen = preferred(
      texts.map((text) => ({ text, parsed: parsed(text) })),
      range,
    )
    assert.equal(chosen === undefined, best === undefined)
    if (chosen && best !== undefined) assert.equal(semver.compare(chosen.text, best), 0)
    const sorted = ['no version', ...texts].sort(compareVersionTexts)
    assert.equal(sorted[0], 'no version')
    const last = sorted.at(-1) as string
    const all = preferred(texts.map((text) => ({ text, parsed: parsed(text) })))
    if (all) assert.equal(compareVersionTexts(last, all.text), 0)
  })
  fc.assert(property, { seed, numRuns: 5000 })
})
