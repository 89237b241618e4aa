export { build, type BuildOptions, type BuiltPlugin } from './build.js'
export { watchBuild, type BuildOutcome, type BuildWatcher } from './watch-build.js'
