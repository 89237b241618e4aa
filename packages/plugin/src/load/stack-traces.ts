import { existsSync, readFileSync } from 'node:fs'
import { findSourceMap, SourceMap } from 'node:module'
import { dirname, resolve } from 'node:path'
import { sourceMapDigest, type SourceMapText } from '../format/source-map.js'

/*
 * Node maps the frames of modules that it loaded itself; code that was compiled as a function it
 * does not. This maps them: nothing is read until an error with a frame of a plugin has its stack
 * read, and what was read goes with the plugin.
 */

interface MapSource {
  readonly mapPath: string
  readonly sha256: string
  /** One for each opening of the script: platforms share nothing else. */
  readonly users: Set<object>
  /** `null` where the map is missing, damaged or another one. */
  parsed?: ParsedMap | null
}

interface ParsedMap {
  readonly map: SourceMap
  readonly places: ReadonlyMap<string, string>
}

type Prepare = NonNullable<typeof Error.prepareStackTrace>

/** Parsed maps take several times the size of their text: only so many are kept. */
const maxParsed = 8

const sources = new Map<string, MapSource>()
let parsed: MapSource[] = []

/** The hook that there is from the start, unless the host was faster. */
const nodesOwn =
  Error.prepareStackTrace?.name === 'ErrorPrepareStackTrace' ? Error.prepareStackTrace : undefined

/** The hooks that were set here, each with the one that it took the place of. */
const hooks = new WeakMap<Prepare, Prepare | undefined>()

/** Maps the frames of the script `url` from now until the returned function is called. */
export function mapStackTraces(url: string, mapPath: string, sha256: string): () => void {
  const source: MapSource = sources.get(url) ?? { mapPath, sha256, users: new Set() }
  const user = {}
  source.users.add(user)
  sources.set(url, source)
  hook()
  return () => {
    source.users.delete(user)
    if (source.users.size > 0 || sources.get(url) !== source) return
    sources.delete(url)
    parsed = parsed.filter((each) => each !== source)
    if (sources.size === 0) unhook()
  }
}

/** A host may set a hook at any time, which calls the one before it or does not; so each of ours has its own before it. */
function hook(): void {
  const previous = Error.prepareStackTrace
  if (previous && hooks.has(previous)) return
  const prepare: Prepare = (error, frames) => format(error, frames, previous)
  hooks.set(prepare, previous)
  Error.prepareStackTrace = prepare
}

function unhook(): void {
  const current = Error.prepareStackTrace
  if (current && hooks.has(current)) Error.prepareStackTrace = hooks.get(current) as Prepare
}

function format(error: Error, frames: NodeJS.CallSite[], previous: Prepare | undefined): unknown {
  const ours = frames.some((frame) => sources.has(frame.getFileName() ?? ''))
  if (!ours && previous) return previous(error, frames)
  const lines = frames.map((frame) => `\n    at ${mapped(frame)}`)
  return `${heading(error)}${lines.join('')}`
}

/** Node's own hook puts the codes of Node's errors into the heading, which is all that it gives where there are no frames. */
function heading(error: Error): string {
  try {
    return String(nodesOwn ? nodesOwn(error, []) : Error.prototype.toString.call(error))
  } catch {
    return '<error>'
  }
}

function mapped(frame: NodeJS.CallSite): string {
  const text = String(frame)
  const [url, line, column] = [frame.getFileName(), frame.getLineNumber(), frame.getColumnNumber()]
  if (!url || line === null || column === null) return text
  const place = placeOf(url, line, column)
  return place === undefined ? text : text.replace(`${url}:${line}:${column}`, () => place)
}

function placeOf(url: string, line: number, column: number): string | undefined {
  const source = sources.get(url)
  if (source) {
    const found = parse(source)
    const entry = found?.map.findEntry(line - 1, column - 1)
    if (!found || !entry || !('originalSource' in entry)) return undefined
    const name = entry.originalSource
    return `${found.places.get(name) ?? name}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  }
  // With --enable-source-maps Node's own maps are ours to apply: a hook takes the place of its own.
  const origin = findSourceMap(url)?.findOrigin(line, column)
  return origin && 'fileName' in origin
    ? `${origin.fileName}:${origin.lineNumber}:${origin.columnNumber}`
    : undefined
}

function parse(source: MapSource): ParsedMap | null {
  if (source.parsed === undefined) {
    source.parsed = load(source)
    parsed.push(source)
    if (parsed.length > maxParsed) delete parsed.shift()?.parsed
  }
  return source.parsed
}

function load({ mapPath, sha256 }: MapSource): ParsedMap | null {
  try {
    const text = JSON.parse(readFileSync(mapPath, 'utf8')) as SourceMapText
    if (sourceMapDigest(text) !== sha256) return null
    const root = resolve(dirname(mapPath), decodeURIComponent(text.sourceRoot))
    const places = new Map(text.sources.map((name) => [name, placeOnDisk(root, name)]))
    return { map: new SourceMap({ ...text, sourceRoot: '', file: '', sourcesContent: [] } as never), places }
  } catch {
    return null
  }
}

/** The source itself where it is on this machine, so that a terminal can open it. */
function placeOnDisk(root: string, name: string): string {
  const path = resolve(root, decodeURIComponent(name))
  return existsSync(path) ? path : name
}
