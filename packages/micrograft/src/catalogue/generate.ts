import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ServiceError, type ComponentType } from '@micrograft/contracts'
import { pluginSuffix } from '@micrograft/plugin'
import { componentTypes, isComponentType } from '../components/contract-shapes.js'
import { hint } from './nearest.js'

/** A component of an installed package, to be made a plugin file of: go-micro's `plugin.Config` as its `Build` takes it. */
export interface PackagedPlugin {
  /** What a flag chooses it by. */
  readonly name: string
  readonly type: ComponentType
  /** @default `1.0.0` */
  readonly version?: string | undefined
  /** The package that the component comes from, or a file of the project as `./client.js`. */
  readonly path: string
  /** The name under which it exports its `newFunc`. */
  readonly newFunc: string
}

/**
 * Writes the TypeScript source of a plugin for `config`, to be read, changed and built.
 * @returns the path of the source, with `.ts` where it had no ending.
 * @throws `invalid-option` where the config is none; `unavailable` where the file cannot be written.
 */
export async function generate(path: string, config: PackagedPlugin): Promise<string> {
  const source = sourceOf(config)
  const file = resolve(/\.[cm]?ts$/.test(path) ? path : `${path}.ts`)
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, source)
  } catch (cause) {
    throw new ServiceError('unavailable', `cannot write ${file}: ${(cause as Error).message}`, { cause })
  }
  return file
}

/**
 * Builds a plugin file for `config`; nothing but that file and its source map is left. The package is
 * looked for from the working directory.
 * @returns the path of the plugin file, with its ending where it had none.
 * @throws `invalid-option`; a `PluginError` for what the builder refuses, e.g. a package that is not there.
 */
export async function build(path: string, config: PackagedPlugin): Promise<string> {
  sourceOf(config)
  const outFile = resolve(path.endsWith(pluginSuffix) ? path : `${path}${pluginSuffix}`)
  const { build: buildFile } = await import('@micrograft/plugin/build')
  // A folder with a package.json of its own: paths in the output are relative to it, so they do not tell its name.
  const folder = await mkdtemp(resolve('.micrograft-'))
  try {
    const { name, type, version = '1.0.0' } = config
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'generated', version, type: 'module' }),
    )
    const inFolder = config.path.startsWith('.')
      ? { ...config, path: join('..', config.path).replaceAll('\\', '/') }
      : config
    const entry = await generate(join(folder, 'plugin.ts'), inFolder)
    await buildFile(entry, { name, type, version, outFile })
    return outFile
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function sourceOf({ name, type, version = '1.0.0', path, newFunc }: PackagedPlugin): string {
  const wrong: string[] = []
  if (typeof name !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    wrong.push(`name is ${JSON.stringify(name)}; expected letters, digits, ".", "_" and "-"`)
  if (!isComponentType(type))
    wrong.push(`type is ${JSON.stringify(type)}, which is unknown${hint(String(type), componentTypes)}`)
  if (!/^\d+\.\d+\.\d+/.test(version))
    wrong.push(`version is ${JSON.stringify(version)}; expected a semantic version such as 1.0.0`)
  if (typeof path !== 'string' || path === '' || /["'\n\\]/.test(path))
    wrong.push(`path is ${JSON.stringify(path)}; expected the name of a package`)
  if (typeof newFunc !== 'string' || !/^[A-Za-z_$][\w$]*$/.test(newFunc))
    wrong.push(`newFunc is ${JSON.stringify(newFunc)}; expected the name that the package exports it under`)
  if (wrong.length > 0)
    throw new ServiceError('invalid-option', `cannot make a plugin of this config: ${wrong.join('; ')}`)
  return [
    `import { ${newFunc} as newFunc } from ${JSON.stringify(path)}`,
    '',
    'export const Plugin = {',
    `  name: ${JSON.stringify(name)},`,
    `  type: ${JSON.stringify(type)},`,
    `  version: ${JSON.stringify(version)},`,
    `  path: ${JSON.stringify(path)},`,
    '  newFunc,',
    '}',
    '',
  ].join('\n')
}
