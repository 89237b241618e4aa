import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))
const sources = join(root, 'interop/go')
const built = join(root, '.cache/interop')
/** Under which import path of go-micro the program is written. */
const written = 'go-micro.dev/v5'

/** A program of one version of go-micro. */
export interface Program {
  /** As its folder, e.g. `v2`. */
  readonly version: string
  /** What its go.mod names, e.g. `2.9.1`. */
  readonly release: string
  readonly path: string
}

/** What Go says of itself, e.g. `go1.26.8`; `undefined` where there is none. */
export async function goVersion(): Promise<string | undefined> {
  try {
    return (await go(['env', 'GOVERSION'], sources)).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Builds the program of every version that there is; one whose sources have not changed is there already. */
export async function buildPrograms(toolchain: string): Promise<readonly Program[]> {
  const versions = (await readdir(sources)).filter((name) => /^v\d+$/.test(name)).sort()
  const programs: Program[] = []
  for (const version of versions) programs.push(await buildProgram(version, toolchain))
  return programs
}

async function buildProgram(version: string, toolchain: string): Promise<Program> {
  const mod = await readFile(join(sources, version, 'go.mod'), 'utf8')
  const [, path, release] = /^\t(\S*go-micro\S*\/v\d) v(\S+)$/m.exec(mod) ?? []
  if (path === undefined || release === undefined)
    throw new Error(`interop/go/${version}/go.mod names no go-micro`)
  const files = await filesOf(version, path)
  const hash = createHash('sha256').update(toolchain)
  for (const [name, text] of files) hash.update(`\0${name}\0${text}`)
  const folder = join(built, version)
  const program: Program = { version, release, path: join(folder, 'program') }
  const [stamp, state] = [join(folder, 'stamp'), hash.digest('hex')]
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === state) return program
  process.stdout.write(`building the program of go-micro ${release}\n`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const [name, text] of files) await writeFile(join(folder, name), text)
  await go(['build', '-buildvcs=false', '-mod=readonly', '-ldflags=-s -w', '-o', 'program', '.'], folder)
  await writeFile(stamp, state)
  return program
}

/** The program's own files and those of the version, by name, with the version's import path. */
async function filesOf(version: string, path: string): Promise<readonly (readonly [string, string])[]> {
  const files: [string, string][] = []
  for (const folder of [join(sources, 'program'), join(sources, version)]) {
    for (const name of (await readdir(folder)).sort()) {
      const text = await readFile(join(folder, name), 'utf8')
      files.push([name, name.endsWith('.go') ? text.replaceAll(`"${written}/`, `"${path}/`) : text])
    }
  }
  return files
}

/** Why there is no program of a version whose module is this; `undefined` where there could be one. */
export async function whyNone(module: string): Promise<string | undefined> {
  try {
    await go(['list', '-m', '-mod=mod', `${module}@latest`], join(sources, 'v5'))
    return undefined
  } catch (error) {
    const [status] = /\b\d{3} [A-Z][a-z]+( [A-Z][a-z]+)*/.exec((error as Error).message) ?? []
    return `Go's module proxy does not give ${module} (${status ?? 'no answer'}), so no program of it can be built here`
  }
}

async function go(args: readonly string[], folder: string): Promise<string> {
  return (await promisify(execFile)('go', args, { cwd: folder })).stdout
}
