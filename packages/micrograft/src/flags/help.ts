import type { Catalogue } from '../catalogue/catalogue.js'
import { definitionOf, flagNames, variableOf } from './definitions.js'

/** The text of `--help`: every flag, its variable, and the names that can be chosen now, plugins' among them. */
export function helpText(service: string, catalogue: Catalogue): string {
  const rows = flagNames.map((name) => {
    const { help, component } = definitionOf(name)
    const choices = component === undefined ? '' : ` [${catalogue.names(component).join(', ')}]`
    return [`--${name}`, `${help}${choices}`, variableOf(name)] as const
  })
  const width = Math.max(...rows.map(([flag]) => flag.length))
  const lines = rows.map(([flag, help, variable]) => `  ${flag.padEnd(width)}  ${help} {${variable}}`)
  return [`${service}: a Micrograft service. Flags, with their variables:`, '', ...lines, ''].join('\n')
}
