import { ServiceError, type PluginConfig } from '@micrograft/contracts'
import { componentTypes, isComponentType } from '../components/contract-shapes.js'
import { hint } from './nearest.js'

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * `value` as a plugin's config.
 *
 * @param where What it was found in, for messages.
 * @throws `invalid-option`, naming every field that is wrong and what was expected.
 */
export function requirePluginConfig(value: unknown, where: string): PluginConfig {
  if (typeof value !== 'object' || value === null) {
    throw new ServiceError(
      'invalid-option',
      `${where} has no config: expected an object { name, type, version, newFunc } and got ${value === null ? 'null' : typeof value}`,
    )
  }
  const { name, type, version, path, newFunc } = value as Partial<Record<keyof PluginConfig, unknown>>
  const wrong: string[] = []
  if (typeof name !== 'string' || !namePattern.test(name))
    wrong.push(`name is ${show(name)}; expected letters, digits, ".", "_" and "-"`)
  if (!isComponentType(type))
    wrong.push(`type is ${show(type)}, which is unknown${hint(String(type), componentTypes)}`)
  if (typeof version !== 'string' || !/^\d+\.\d+\.\d+/.test(version))
    wrong.push(`version is ${show(version)}; expected a semantic version such as 1.0.0`)
  if (path !== undefined && typeof path !== 'string')
    wrong.push(`path is ${show(path)}; expected the name of a package`)
  if (typeof newFunc !== 'function')
    wrong.push(`newFunc is ${show(newFunc)}; expected a function (options, context) that makes the component`)
  if (wrong.length > 0)
    throw new ServiceError('invalid-option', `the config of ${where} is invalid: ${wrong.join('; ')}`)
  return value as PluginConfig
}

function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 64))
    : value === undefined
      ? 'missing'
      : typeof value
}
