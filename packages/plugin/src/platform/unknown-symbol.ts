import { PluginError } from '../errors.js'

/** The refusal of a symbol that is not there, naming those that are. */
export function unknownSymbol(
  symbol: string,
  where: string,
  known: readonly string[],
  path?: string,
): PluginError {
  const near = known.find((each) => each.toLowerCase() === symbol.toLowerCase())
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  const list = known.length > 0 ? `it has ${[...known].sort().join(', ')}` : 'it has none'
  return new PluginError(
    'unknown-symbol',
    `${where} has no symbol ${JSON.stringify(symbol)}${hint}; ${list}`,
    { path },
  )
}
