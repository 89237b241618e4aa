import { watchBuild, type BuildOptions, type BuildOutcome } from '@micrograft/plugin/build'
import type { PluginErrorCode } from '@micrograft/plugin'
import type { BuildReport } from './build-report.js'

/** Refusals of the command line, which no change of a source mends. */
const final: ReadonlySet<PluginErrorCode> = new Set([
  'entry-not-found',
  'esbuild-missing',
  'invalid-name',
  'invalid-option',
  'invalid-range',
  'invalid-version',
  'malformed-key',
])

/** Builds now and after each change, until SIGINT or SIGTERM. It gives up where the first build shows that it must. */
export async function buildUntilStopped(
  entries: readonly string[],
  options: BuildOptions,
  report: BuildReport,
): Promise<void> {
  const stopped = new Promise<void>((stop) => {
    process.once('SIGINT', () => stop())
    process.once('SIGTERM', () => stop())
  })
  let hopeless = false
  const tell = (outcome: BuildOutcome) => {
    if ('built' in outcome) return report.built(outcome.entry, outcome.built)
    report.refused(outcome.error)
    hopeless ||= final.has(outcome.error.code)
  }
  const watchers = await Promise.all(entries.map((entry) => watchBuild(entry, options, tell)))
  if (hopeless) process.exitCode = 1
  else await stopped
  await Promise.all(watchers.map((watcher) => watcher.close()))
}
