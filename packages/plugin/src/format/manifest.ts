import { PluginError } from '../errors.js'
import { parseRange } from '../version/range.js'
import { parseVersion } from '../version/semver.js'

/** The bytes of code that follow the header. */
export interface CodeDigest {
  readonly bytes: number
  /** SHA-256, lower-case hexadecimal. */
  readonly sha256: string
}

/** The source map that lies beside the file, under the file's own name with `.map` added. */
export interface MapDigest {
  /** SHA-256 over the map's text with an empty `sourceRoot`, lower-case hexadecimal. */
  readonly sha256: string
}

/**
 * What a plugin file says of itself before any of it is run. `docs/plugin-file.md` has each field's
 * exact form.
 */
export interface Manifest {
  readonly name: string
  /** A semantic version. */
  readonly version: string
  /** What the plugin is for, where its host tells types apart, e.g. `client`. */
  readonly type?: string | undefined
  /** The names of its exports, sorted. */
  readonly symbols: readonly string[]
  /** Packages that the host must bring, each with the range that it must be in. */
  readonly host: Readonly<Record<string, string>>
  /** The range of Node versions that it runs on. */
  readonly node: string
  /** Every module that its code may ask the host for: `node:` built-ins and host packages, sorted. */
  readonly imports: readonly string[]
  readonly code: CodeDigest
  readonly map?: MapDigest | undefined
}

/** Longest name of a plugin or a type, in characters. */
const maxNameLength = 128

const namePattern = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[A-Za-z0-9][A-Za-z0-9._-]*$/
const typePattern = /^[a-z][a-z0-9-]*$/
const packagePattern = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i
const sha256Pattern = /^[0-9a-f]{64}$/

/**
 * Whether `name` may name a plugin: letters, digits, `.`, `_` and `-`, beginning with a letter or a
 * digit, with an npm scope or without, and never with a path in it.
 */
export function isPluginName(name: unknown): name is string {
  return (
    typeof name === 'string' && name.length <= maxNameLength && namePattern.test(name) && !name.includes('..')
  )
}

export function isTypeName(type: unknown): type is string {
  return typeof type === 'string' && type.length <= maxNameLength && typePattern.test(type)
}

type Check = (value: unknown) => string | undefined

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const sortedStrings: Check = (value) => {
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string' || each === '')) {
    return 'is not a list of names'
  }
  return value.every((each, i) => i === 0 || (value[i - 1] as string) < each)
    ? undefined
    : 'is not sorted, or repeats a name'
}

const range: Check = (value) =>
  typeof value === 'string' && parseRange(value) ? undefined : 'is not a range of semantic versions'

const hostRanges: Check = (value) => {
  if (!isObject(value)) return 'is not an object of ranges by package name'
  if (!inOrder(value, Object.keys(value).sort())) return 'is not sorted'
  for (const [name, wanted] of Object.entries(value)) {
    if (!packagePattern.test(name)) return `has ${JSON.stringify(name)}, which is not the name of a package`
    const wrong = range(wanted)
    if (wrong) return `has ${name}, whose value ${wrong}`
  }
  return undefined
}

const codeDigest: Check = (value) => {
  if (!isObject(value) || !inOrder(value, ['bytes', 'sha256'])) return 'is not { bytes, sha256 }'
  if (!Number.isSafeInteger(value['bytes']) || (value['bytes'] as number) < 0)
    return 'has a bad number of bytes'
  return sha256(value['sha256'])
}

const mapDigest: Check = (value) =>
  isObject(value) && inOrder(value, ['sha256']) ? sha256(value['sha256']) : 'is not { sha256 }'

function sha256(value: unknown): string | undefined {
  return typeof value === 'string' && sha256Pattern.test(value)
    ? undefined
    : 'has no SHA-256 in lower-case hexadecimal'
}

/**
 * Whether `value` has exactly `names`, in the order that an object has to which they were given in
 * theirs: names that are array indices come first.
 */
function inOrder(value: Record<string, unknown>, names: readonly string[]): boolean {
  const expected = Object.keys(Object.fromEntries(names.map((name) => [name, true])))
  const actual = Object.keys(value)
  return actual.length === expected.length && actual.every((name, i) => name === expected[i])
}

/** Every field, in the order in which it is written, with what it must be. */
const fields: ReadonlyMap<string, { readonly optional?: true; readonly check: Check }> = new Map([
  ['name', { check: (value) => (isPluginName(value) ? undefined : 'is not a plugin name') }],
  [
    'version',
    {
      check: (value) =>
        typeof value === 'string' && parseVersion(value) ? undefined : 'is not a semantic version',
    },
  ],
  ['type', { optional: true, check: (value) => (isTypeName(value) ? undefined : 'is not a type name') }],
  ['symbols', { check: sortedStrings }],
  ['host', { check: hostRanges }],
  ['node', { check: range }],
  ['imports', { check: sortedStrings }],
  ['code', { check: codeDigest }],
  ['map', { optional: true, check: mapDigest }],
] as const)

/**
 * The manifest that `text` writes.
 *
 * A manifest has one text only: two readers cannot understand it differently.
 *
 * @throws `malformed-manifest` where it is not JSON, lacks a field, has one too many or one of a
 *   wrong form, all of these told at once; and where it is written in another way than
 *   `formatManifest` writes it, as with a field given twice.
 */
export function parseManifest(text: string, path: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw malformed(path, ['it is not JSON'], cause)
  }
  if (!isObject(value)) throw malformed(path, ['it is not a JSON object'])
  const wrong: string[] = []
  for (const name of Object.keys(value)) {
    if (!fields.has(name))
      wrong.push(`it has an unknown field ${JSON.stringify(name.slice(0, maxNameLength))}`)
  }
  for (const [name, { optional, check }] of fields) {
    if (!Object.hasOwn(value, name)) {
      if (!optional) wrong.push(`it lacks ${name}`)
      continue
    }
    const problem = check(value[name])
    if (problem) wrong.push(`${name} ${problem}`)
  }
  if (wrong.length > 0) throw malformed(path, wrong)
  const manifest = deepFreeze(value) as unknown as Manifest
  if (formatManifest(manifest) !== text)
    throw malformed(path, ['it is not written in the one way that the format has'])
  return manifest
}

/** The one text that a manifest has: fields in the order of the format, nothing between them. */
export function formatManifest(manifest: Manifest): string {
  const ordered: Record<string, unknown> = {}
  for (const name of fields.keys()) {
    const value = manifest[name as keyof Manifest]
    if (value !== undefined) ordered[name] = value
  }
  return JSON.stringify(ordered)
    .replaceAll('*/', '*\\/')
    .replace(/[^\x20-\x7e]/g, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function malformed(path: string, wrong: readonly string[], cause?: unknown): PluginError {
  const shown = wrong.slice(0, 10).join('; ')
  return new PluginError(
    'malformed-manifest',
    `the manifest of ${path} is malformed: ${shown}; build the file again`,
    {
      path,
      cause,
      problems: wrong.map((message) => ({ code: 'malformed-manifest', message })),
    },
  )
}

function deepFreeze(value: object): object {
  for (const each of Object.values(value))
    if (typeof each === 'object' && each !== null) deepFreeze(each as object)
  return Object.freeze(value)
}
