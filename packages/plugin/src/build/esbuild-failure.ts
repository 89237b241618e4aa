import type { BuildFailure, Message } from 'esbuild'
import { PluginError, reason, type PluginErrorCode } from '../errors.js'
import { nativeAddonDetail } from './native-addons.js'

/** What esbuild says no with, as an error of this package that says what to do. */
export function toPluginError(failure: unknown, entry: string): PluginError {
  if (failure instanceof PluginError) return failure
  const { errors } = failure as Partial<BuildFailure>
  if (!errors || errors.length === 0)
    return new PluginError('build-failed', `cannot build ${entry}: ${reason(failure)}`, {
      path: entry,
      cause: failure,
    })
  const problems = errors.map((message) => ({ code: codeOf(message), message: sentence(message) }))
  const first = problems[0] as (typeof problems)[0]
  const shown = problems
    .slice(0, 5)
    .map((each) => each.message)
    .join('; ')
  const more = problems.length > 5 ? `; and ${problems.length - 5} more` : ''
  return new PluginError(first.code, `cannot build ${entry}: ${shown}${more}`, {
    path: entry,
    cause: failure,
    problems,
  })
}

/** What esbuild says, by how it begins: the code for it, and what to do. What is not here is a syntax error. */
const known: readonly (readonly [pattern: RegExp, code: PluginErrorCode, advice: string])[] = [
  [
    /^Could not (?:resolve|read from)/,
    'unresolved-import',
    'install it, correct the path, or name its package as external where the host brings it',
  ],
  [/^No matching export/, 'unresolved-import', 'correct the name'],
  [
    /^(?:No loader is configured|Importing )/,
    'unresolved-import',
    "import it with { type: 'text' } or { type: 'bytes' }, or make a module of it",
  ],
]

function codeOf({ text, detail }: Message): PluginErrorCode {
  if (detail === nativeAddonDetail) return 'native-addon'
  if (text.startsWith('Top-level await')) return 'top-level-await'
  return known.find(([pattern]) => pattern.test(text))?.[1] ?? 'syntax-error'
}

function sentence(message: Message): string {
  const { text, location } = message
  const place = location ? `${location.file}:${location.line}:${location.column + 1}: ` : ''
  if (codeOf(message) === 'top-level-await')
    return `${place}the source awaits at top level, and opening a plugin must not wait: do the work in an exported async function, which the host calls`
  const advice = known.find(([pattern]) => pattern.test(text))?.[2]
  return place + text + (advice === undefined ? '' : `; ${advice}`)
}
