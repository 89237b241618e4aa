import { readFileSync } from 'node:fs'
import { ServiceError } from '@micrograft/contracts'
import { hint } from '../catalogue/nearest.js'
import {
  definitionOf,
  flagDefinitions,
  flagNames,
  variableOf,
  type FlagKind,
  type FlagName,
} from './definitions.js'
import { parseDuration } from './duration.js'

type ValueOf<K extends FlagKind> = K extends 'list'
  ? readonly string[]
  : K extends 'pairs'
    ? Readonly<Record<string, string>>
    : K extends 'text'
      ? string
      : number

/** Values that were given, by flag; durations and seconds in milliseconds. */
export type Flags = { readonly [N in FlagName]?: ValueOf<(typeof flagDefinitions)[N]['kind']> }

export interface ParsedFlags {
  readonly flags: Flags
  /** `--help` was among the arguments. */
  readonly help: boolean
}

type Texts = Map<FlagName, string[]>

/**
 * Flags from a config file, the environment and arguments; the later wins. Empty variables count as
 * not given. Arguments after `--` are not looked at.
 *
 * @throws `invalid-option`: an unknown flag, with the known and the nearest, or a value that is not
 *   what its flag takes, with where it came from. A variable that begins with `MICRO_` and is no flag
 *   is none of ours.
 */
export function parseFlags(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedFlags {
  const given = new Map<FlagName, unknown>()
  const { texts, help } = readArguments(argv)
  const fromEnv: Texts = new Map(
    flagNames.flatMap((name) => (env[variableOf(name)] ? [[name, [env[variableOf(name)] as string]]] : [])),
  )
  const file = texts.get('config_file')?.at(-1) ?? fromEnv.get('config_file')?.[0]
  if (file !== undefined)
    for (const [name, values] of readFile(file)) given.set(name, parse(name, values, `${name} in ${file}`))
  for (const [name, values] of fromEnv) given.set(name, parse(name, values, variableOf(name)))
  for (const [name, values] of texts) given.set(name, parse(name, values, `--${name}`))
  return { flags: Object.fromEntries(given) as Flags, help }
}

function readArguments(argv: readonly string[]): { texts: Texts; help: boolean } {
  const texts: Texts = new Map()
  let help = false
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string
    if (argument === '--') break
    if (argument === '--help' || argument === '-h') {
      help = true
      continue
    }
    const [, rawName, inline] = /^--?([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?$/s.exec(argument) ?? []
    if (rawName === undefined) {
      throw new ServiceError(
        'invalid-option',
        `${JSON.stringify(argument)} is no flag; write flags as --name=value, and what is not for the service after --`,
      )
    }
    const name = requireFlag(rawName.replaceAll('-', '_'), `--${rawName}`)
    const value = inline ?? argv[++i]
    if (value === undefined || (inline === undefined && /^--[a-z]/.test(value))) {
      throw new ServiceError('invalid-option', `--${name} has no value; ${expected(definitionOf(name).kind)}`)
    }
    texts.set(name, [...(texts.get(name) ?? []), value])
  }
  return { texts, help }
}

function requireFlag(name: string, shown: string): FlagName {
  if (!Object.hasOwn(flagDefinitions, name)) {
    throw new ServiceError('invalid-option', `there is no flag ${shown}${hint(name, flagNames)}`)
  }
  return name as FlagName
}

function readFile(file: string): Texts {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new ServiceError(
      'invalid-option',
      `cannot read the config file ${file}: ${(cause as Error).message}; it is JSON with flags by name`,
      { cause },
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ServiceError(
      'invalid-option',
      `the config file ${file} is no JSON object; it has flags by name, e.g. { "broker": "nats" }`,
    )
  }
  return new Map(
    Object.entries(value).map(([key, each]) => {
      const name = requireFlag(key.replaceAll('-', '_'), `${key} (in ${file})`)
      const { kind } = definitionOf(name)
      const text = (part: unknown): string => {
        if (part !== null && ['string', 'number', 'boolean'].includes(typeof part)) return String(part)
        throw invalid(`${name} in ${file}`, JSON.stringify(part), kind)
      }
      if (kind === 'pairs' && typeof each === 'object' && each !== null && !Array.isArray(each))
        return [name, Object.entries(each).map(([k, v]) => `${k}=${text(v)}`)]
      return [name, Array.isArray(each) ? each.map(text) : [text(each)]]
    }),
  )
}

function parse(name: FlagName, values: readonly string[], where: string): unknown {
  const { kind } = definitionOf(name)
  const last = values.at(-1) as string
  switch (kind) {
    case 'text':
      return last
    case 'list':
      return values
        .flatMap((value) => value.split(','))
        .map((value) => value.trim())
        .filter((value) => value !== '')
    case 'pairs':
      return Object.fromEntries(
        values
          .flatMap((value) => value.split(','))
          .map((pair) => {
            const at = pair.indexOf('=')
            if (at < 1) throw invalid(where, pair, kind)
            return [pair.slice(0, at).trim(), pair.slice(at + 1)]
          }),
      )
    case 'count':
    case 'seconds': {
      if (!/^\d{1,15}$/.test(last)) throw invalid(where, last, kind)
      return kind === 'seconds' ? Number(last) * 1000 : Number(last)
    }
    case 'duration': {
      const ms = parseDuration(last)
      if (ms === undefined) throw invalid(where, last, kind)
      return ms
    }
  }
}

function invalid(where: string, value: string, kind: FlagKind): ServiceError {
  return new ServiceError(
    'invalid-option',
    `${where} is ${JSON.stringify(value.slice(0, 200))}; ${expected(kind)}`,
  )
}

function expected(kind: FlagKind): string {
  const forms: Record<FlagKind, string> = {
    text: 'it takes a text',
    list: 'it takes texts separated by commas',
    pairs: 'it takes name=value',
    count: 'it takes a whole number from 0 up',
    duration: 'it takes a duration such as 500ms, 5s or 1m30s',
    seconds: 'it takes whole seconds',
  }
  return forms[kind]
}
